"""``hypersdk repo list``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from hypersdk import Repository
from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.keys import Need, Unlock, key_options, repository_argument
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    instance: str | None
    unlock: Unlock


@click.command("list", cls=Command)
@repository_argument
@click.argument("instance", required=False)
@key_options
@click.pass_obj
def list_(terminal: Terminal, /, **given: Any) -> None:
    """List restore points, oldest first.

    Without a key, an encrypted repository shows names, times and sizes only.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    with options.unlock.open(terminal, options.repo, Need.WELCOME) as repository:
        if repository.locked:
            _list_names(terminal, repository)
        else:
            _list_points(terminal, repository, options.instance)


def _list_points(terminal: Terminal, repository: Repository, instance: str | None) -> None:
    found, unreadable = repository.scan()
    points = [point for point in found if instance is None or point.instance == instance]
    terminal.result(
        {
            "repository": repository.url,
            "locked": False,
            "points": [records.point(point) for point in points],
            "unreadable": {key: error.message for key, error in unreadable.items()},
        }
    )
    table = Table((*left("INSTANCE", "TIME", "ID"), *right("SIZE", "STORED"), *left("NOTES")))
    for point in points:
        table.add(
            point.instance,
            words.moment(point.time),
            point.id,
            words.size(point.size),
            words.size(sum(disk.statistics.stored for disk in point.disks)),
            ", ".join(words.marks(point)),
        )
    if points:
        terminal.table(table)
    else:
        terminal.note("No restore points.")
    for key, error in unreadable.items():
        terminal.complain(f"unreadable: {key}: {error.message}")


def _list_names(terminal: Terminal, repository: Repository) -> None:
    entries = repository.entries()
    terminal.result(
        {
            "repository": repository.url,
            "locked": True,
            "objects": [
                {"key": entry.key, "stored_at": words.moment(entry.modified), "size": entry.size}
                for entry in entries
            ],
        }
    )
    table = Table((*left("RESTORE POINT", "STORED AT"), *right("SIZE")))
    for entry in entries:
        table.add(entry.key, words.moment(entry.modified), words.size(entry.size))
    terminal.table(table)
    terminal.note("No key was given: names, times and sizes are all that can be seen.")
