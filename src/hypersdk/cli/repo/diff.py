"""``hypersdk repo diff``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.keys import Unlock, key_options, repository_argument
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    old: str
    new: str
    areas: bool
    unlock: Unlock


@click.command("diff", cls=Command)
@repository_argument
@click.argument("old")
@click.argument("new")
@click.option("--areas", is_flag=True, help="List every area: first byte and length.")
@key_options
@click.pass_obj
def diff(terminal: Terminal, /, **given: Any) -> None:
    """Show what differs between two restore points.

    Only maps are compared, not disks: this is quick for any size.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    with options.unlock.open(terminal, options.repo) as repository:
        old, new = repository.find(options.old), repository.find(options.new)
        found = repository.differences(old, new)
    terminal.result(
        {"old": old.id, "new": new.id, "disks": [records.difference(each) for each in found]}
    )
    table = Table((*left("DISK", "IN"), *right("CHANGED", "AREAS")))
    for each in found:
        table.add(each.disk, each.presence, words.size(each.changed), f"{len(each.areas):,}")
    terminal.table(table)
    if options.areas:
        terminal.line()
        listed = Table((*left("DISK"), *right("START", "LENGTH")))
        for each in found:
            for start, length in each.areas:
                listed.add(each.disk, str(start), str(length))
        terminal.table(listed)
