"""The command ``hypersdk``: where arguments come in and every error goes out."""

from __future__ import annotations

from typing import NoReturn

import click

from hypersdk.cli.backup import backup
from hypersdk.cli.command import Group
from hypersdk.cli.conform import conform
from hypersdk.cli.demo import demo
from hypersdk.cli.doctor import doctor
from hypersdk.cli.failures import report
from hypersdk.cli.fleet import fleet
from hypersdk.cli.lab import lab
from hypersdk.cli.program import run_program
from hypersdk.cli.repo import repo
from hypersdk.cli.restore import restore
from hypersdk.cli.terminal import Terminal
from hypersdk.cli.verify import verify

PROGRAM = "hypersdk"


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hypersdk", prog_name=PROGRAM, message="%(prog)s %(version)s")
def hypersdk() -> None:
    """Back up, verify and restore disk images and virtual machines.

    REPO is a folder or s3://bucket/prefix. New here? Try: hypersdk demo
    """


for _command in (backup, restore, verify, repo, fleet, doctor, demo, lab, conform):
    hypersdk.add_command(_command)


def main() -> NoReturn:
    """Entry point of the installed command."""
    run_program(run)


def run(arguments: list[str], terminal: Terminal) -> int:
    """Run one command and return its exit status; every error is reported on ``terminal``."""
    try:
        hypersdk.main(arguments, prog_name=PROGRAM, standalone_mode=False, obj=terminal)
        terminal.finish()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place to catch it
        # A usage error may come before the options for output were looked at.
        terminal.json = terminal.json or "--json" in arguments
        return report(error, terminal)
    return 0
