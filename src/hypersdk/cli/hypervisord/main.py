"""The command ``hypervisord``: where arguments come in and every error goes out."""

from __future__ import annotations

from typing import NoReturn

import click

from hypersdk.cli.failures import describe, leave_quietly, tell
from hypersdk.cli.hypervisord.command import Group, listen_options, setting_options
from hypersdk.cli.hypervisord.config import config
from hypersdk.cli.hypervisord.doctor import doctor
from hypersdk.cli.hypervisord.run import serve
from hypersdk.cli.hypervisord.tokens import tokens
from hypersdk.cli.hypervisord.users import users
from hypersdk.cli.hypervisord.version import version
from hypersdk.cli.hypervisord.worker import worker
from hypersdk.cli.program import run_program
from hypersdk.cli.terminal import Terminal

PROGRAM = "hypervisord"
#: As users of the original write them.
_SINGLE_DASH = frozenset({"-config", "-addr", "-log-level", "-version"})


@click.group(
    cls=Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="hypersdk", prog_name=PROGRAM, message="%(prog)s %(version)s")
@setting_options
@listen_options
@click.option("--worker/--no-worker", default=None, help="Run jobs, too.  [default: --worker]")
@click.pass_context
def hypervisord(context: click.Context, /, worker: bool | None) -> None:
    """Serve the API, run jobs, keep schedules.

    Without a command it serves until SIGTERM or Ctrl-C. Settings come from --config, else from
    ~/.config/hypersdk/hypervisord.yaml or /etc/hypersdk/hypervisord.yaml, and from HYPERVISORD_…
    variables; docs/hypervisord.md has them all.
    """
    if context.invoked_subcommand is None:
        context.exit(serve(worker))


for _command in (config, doctor, users, tokens, worker, version):
    hypervisord.add_command(_command)


def main() -> NoReturn:
    """Entry point of the installed command."""
    run_program(run)


def run(arguments: list[str], terminal: Terminal) -> int:
    """Run one command and return its exit status; every error is reported on ``terminal``."""
    words = [f"-{each}" if each.partition("=")[0] in _SINGLE_DASH else each for each in arguments]
    try:
        try:
            status = hypervisord.main(words, prog_name=PROGRAM, standalone_mode=False, obj=terminal)
            terminal.finish()
        except BrokenPipeError:
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place to catch it
            terminal.json = terminal.json or "--json" in words
            document = describe(error)
            tell(PROGRAM, error, document, terminal)
            terminal.finish(error=document)
            return int(str(document["exit_code"]))
    except BrokenPipeError:
        leave_quietly(terminal)
        return 1
    return status if isinstance(status, int) else 0
