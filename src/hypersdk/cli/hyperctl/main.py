"""The command ``hyperctl``: where arguments come in and every error goes out."""

from __future__ import annotations

import os
from typing import NoReturn

import click

from hypersdk.cli.failures import EXIT_USAGE, describe, leave_quietly, tell
from hypersdk.cli.hyperctl.arguments import Target, spelled, targeted
from hypersdk.cli.hyperctl.command import Group
from hypersdk.cli.hyperctl.commands import Commands
from hypersdk.cli.hyperctl.records import misread
from hypersdk.cli.hyperctl.session import Session, keep
from hypersdk.cli.program import run_program
from hypersdk.cli.terminal import Terminal

PROGRAM = "hyperctl"
#: Set by the script of ``hyperctl completion`` when a shell asks for words.
COMPLETING = "_HYPERCTL_COMPLETE"


@click.group(
    cls=Group, commands=Commands(), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="hypersdk", prog_name=PROGRAM, message="%(prog)s %(version)s")
def hyperctl() -> None:
    """Talk to the daemon, hypervisord.

    \b
    Anywhere on the line:
      -daemon URL       http://HOST:PORT, https://HOST:PORT or unix:/SOCKET
                        (HYPERVISORD_URL; http://localhost:8080)
      -profile NAME     a daemon kept by: hyperctl login --as NAME
      -token-from REF   env:NAME, file:PATH or keyring:SERVICE/USER
      -ca-file FILE     PEM of who signed the daemon's certificate

    Options may begin with one dash or two.
    """


def main() -> NoReturn:
    """Entry point of the installed command."""
    run_program(run)


def run(arguments: list[str], terminal: Terminal) -> int:
    """Run one command and return its exit status; every error is reported on ``terminal``."""
    session = Session(terminal, Target())
    try:
        try:
            return _run(arguments, session)
        except BrokenPipeError:
            raise
        except click.exceptions.NoArgsIsHelpError as help_:
            terminal.complain(help_.message)
            return EXIT_USAGE
        except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001 - the last place for it
            error = misread(caught)
            terminal.json = terminal.json or bool({"--json", "-json"} & set(arguments))
            document = describe(error, PROGRAM)
            tell(PROGRAM, error, document, terminal)
            terminal.finish(error=document)
            status = document["exit_code"]
            assert isinstance(status, int)
            return status
        finally:
            session.close()
    except BrokenPipeError:
        leave_quietly(terminal)
        return 1


def _run(arguments: list[str], session: Session) -> int:
    if COMPLETING in os.environ:
        from hypersdk.cli.hyperctl.completion import answer  # noqa: PLC0415 - seldom asked for

        return answer(hyperctl)
    session.target, words = targeted(arguments)
    try:
        context = hyperctl.make_context(PROGRAM, spelled(words, hyperctl), obj=session.terminal)
        with context:
            keep(context, session)
            status = hyperctl.invoke(context)
    except click.exceptions.Exit as ended:  # after --help and --version
        return ended.exit_code
    session.terminal.finish()
    # A command that follows a job gives the status that the job ended with.
    return status if isinstance(status, int) else 0
