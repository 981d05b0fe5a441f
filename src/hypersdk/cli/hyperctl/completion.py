"""``hyperctl completion``"""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class, shell_complete

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.main import COMPLETING, PROGRAM
from hypersdk.cli.hyperctl.session import Session, with_session


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="[bash|zsh|fish]")
@click.option("--shell", type=click.Choice(["bash", "zsh", "fish"]), help="Instead of the word.")
@with_session
def completion(session: Session, words: tuple[str, ...], shell: str | None) -> None:
    """Print a script that completes commands.

    eval "$(hyperctl completion bash)"
    """
    wanted = shell or (words[0] if words else "bash")
    found = get_completion_class(wanted)
    if found is None:
        raise click.UsageError(f"'{wanted}' is no shell that is known: bash, zsh or fish")
    root = click.get_current_context().find_root().command
    session.terminal.stdout.write(found(root, {}, PROGRAM, COMPLETING).source() + "\n")


def answer(command: click.Command) -> int:
    """Words for a shell that asks for them, of the real commands."""
    return shell_complete(command, {}, PROGRAM, COMPLETING, os.environ[COMPLETING])
