"""``hypersdk repo recover``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from hypersdk import Damaged
from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.keys import Unlock, key_options, repository_argument
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    unlock: Unlock


@click.command("recover", cls=Command)
@repository_argument
@key_options
@click.pass_obj
def recover(terminal: Terminal, /, **given: Any) -> None:
    """Rebuild a lost or damaged index from the packs. A writer's key is enough."""
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    with options.unlock.open(terminal, options.repo) as repository:
        done = repository.recover()
    terminal.result(records.recovery(done))
    terminal.line(
        f"Rebuilt the index: {words.count(done.chunks, 'chunk')} in "
        f"{words.count(done.packs, 'pack')}, {words.duration(done.seconds)}."
    )
    for pack, problem in done.unreadable.items():
        terminal.line(f"unreadable: {pack}: {problem}")
    if done.unreadable:
        raise Damaged(
            f"{words.count(len(done.unreadable), 'pack')} could not be read",
            hint=f"Find out what that breaks: hypersdk verify {options.repo}",
        )
