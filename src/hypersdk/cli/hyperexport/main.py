"""The command ``hyperexport``: where arguments come in and every error goes out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

import click

from hypersdk.cli.failures import leave_quietly
from hypersdk.cli.hyperexport.arguments import plain
from hypersdk.cli.hyperexport.exits import PROGRAM, Exit, complain, described
from hypersdk.cli.hyperexport.import_ import import_command
from hypersdk.cli.hyperexport.modes import work_of
from hypersdk.cli.hyperexport.options.all import all_options
from hypersdk.cli.hyperexport.sections import Sectioned
from hypersdk.cli.hyperexport.verify import verify
from hypersdk.cli.program import run_program
from hypersdk.cli.terminal import Terminal

#: Says the moment of a run, UTC.
Clock = Callable[[], datetime]

#: Commands besides the export itself; an instance of such a name is given by --vm.
COMMANDS = {"import": import_command, "verify": verify}
_OUTPUT = {"json", "quiet", "debug"}


def utc() -> datetime:
    """Now."""
    return datetime.now(UTC)


@click.command(PROGRAM, cls=Sectioned, context_settings={"help_option_names": ["-h", "--help"]})
@all_options
@click.version_option(package_name="hypersdk", prog_name=PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def hyperexport(context: click.Context, /, **given: Any) -> Callable[[Clock], None]:
    """Export instances of any hypervisor to files, and bring them back.

    \b
    hyperexport web                          from vSphere, by GOVC_URL and its kin
    hyperexport -H libvirt+qemu:///system web --format qcow2 --output /srv/web
    hyperexport --batch vms.txt --upload s3://bucket/exports
    hyperexport import web.ova -H URL        see: hyperexport import --help
    hyperexport verify DIR                   see: hyperexport verify --help

    Options may begin with one dash or two. Without an instance, on a terminal: a screen to choose.
    """
    terminal = context.ensure_object(Terminal)
    for name in _OUTPUT:
        setattr(terminal, name, getattr(terminal, name) or given[name])
    return work_of(terminal, context, given)


def main() -> NoReturn:
    """Entry point of the installed command."""
    run_program(run)


def run(arguments: list[str], terminal: Terminal, clock: Clock = utc) -> int:
    """Run one command and return its exit status; every error is reported on ``terminal``."""
    try:
        try:
            _run(arguments, terminal, clock)
            terminal.finish()
        except BrokenPipeError:
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place to catch it
            words = {argument.lstrip("-") for argument in arguments if argument.startswith("-")}
            # A usage error may come before the options for output were looked at.
            terminal.json = terminal.json or "json" in words
            ended = complain(error, terminal)
            terminal.finish(error=described(error))
            return ended
    except BrokenPipeError:
        leave_quietly(terminal)
        return Exit.FAILED
    return Exit.OK


def _run(arguments: list[str], terminal: Terminal, clock: Clock) -> None:
    program, command, words = _command(arguments)
    work = command.main(
        plain(words, command), prog_name=program, standalone_mode=False, obj=terminal
    )
    if callable(work):  # not after --help
        terminal.configure_log()
        work(clock)


def _command(arguments: list[str]) -> tuple[str, click.Command, list[str]]:
    """The command that is meant by the first word that is none of the options for output."""
    for at, argument in enumerate(arguments):
        if argument in COMMANDS:
            words = [*arguments[:at], *arguments[at + 1 :]]
            return f"{PROGRAM} {argument}", COMMANDS[argument], words
        if argument.lstrip("-") not in _OUTPUT:
            break
    return PROGRAM, hyperexport, arguments
