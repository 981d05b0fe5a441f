"""``hypersdk repo stats``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.keys import Unlock, key_options, repository_argument
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    unlock: Unlock


@click.command("stats", cls=Command)
@repository_argument
@key_options
@click.pass_obj
def stats(terminal: Terminal, /, **given: Any) -> None:
    """Count what a repository holds and what it takes."""
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    with options.unlock.open(terminal, options.repo) as repository:
        found = repository.statistics()
        terminal.result(
            {
                "repository": repository.url,
                "encrypted": repository.encrypted,
                **records.statistics(found),
            }
        )
        facts = {
            "repository": repository.url,
            "encrypted": "yes" if repository.encrypted else "no",
            "instances": f"{found.instances:,}",
            "points": f"{found.points:,}",
            "virtual": f"{words.size(found.virtual)}  what full copies would take",
            "stored": f"{words.size(found.stored)}  in {words.count(found.packs, 'pack')}",
            "ratio": f"{words.ratio(found.virtual, found.stored)}",
            "chunks": f"{found.chunks:,}",
            "index cache": f"{words.size(found.cache)}  on this machine; may be deleted",
        }
        for name, fact in facts.items():
            terminal.line(f"{name + ':':13}{fact}")
