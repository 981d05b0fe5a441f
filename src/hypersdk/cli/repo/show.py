"""``hypersdk repo show``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from hypersdk import RestorePoint
from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.keys import Unlock, key_options, repository_argument
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    point: str
    definition: bool
    unlock: Unlock


@click.command("show", cls=Command)
@repository_argument
@click.argument("point")
@click.option(
    "--definition", is_flag=True, help="Print the hypervisor's definition of the instance instead."
)
@key_options
@click.pass_obj
def show(terminal: Terminal, /, **given: Any) -> None:
    """Show one restore point.

    POINT is NAME (the latest), NAME@TIME (the last one before), an id or the beginning of one.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    with options.unlock.open(terminal, options.repo) as repository:
        point = repository.find(options.point)
        document = records.point(point)
        if options.definition:
            definition = repository.definition(point)
            text = definition.content.decode(errors="replace") if definition else ""
            document["definition"] = text if definition else None
            terminal.result(document)
            for line in text.splitlines():
                terminal.line(line)
            return
        terminal.result(document)
        _show(terminal, point)


def _show(terminal: Terminal, point: RestorePoint) -> None:
    facts = {
        "instance": point.instance,
        "id": point.id,
        "time": words.moment(point.time),
        "stored at": words.moment(point.stored_at),
        "source": point.source,
        "consistency": point.consistency.value,
        "definition": point.definition_kind or "none",
        "notes": ", ".join(words.marks(point)) or "none",
        "tags": ", ".join(f"{key}={value}" for key, value in point.tags.items()) or "none",
    }
    for name, fact in facts.items():
        terminal.line(f"{name + ':':13}{fact}")
    terminal.line()
    columns = (
        *left("DISK", "FORMAT"),
        *right("SIZE", "CHUNK", "READ", "CHANGED", "STORED"),
        *left("KIND"),
    )
    table = Table(columns)
    for disk in point.disks:
        counted = disk.statistics
        table.add(
            disk.name,
            disk.format,
            *map(words.size, (disk.size, disk.chunk_size)),
            *map(words.size, (counted.read, counted.changed, counted.stored)),
            words.kind(disk),
        )
    terminal.table(table)
    for disk in point.disks:
        if disk.reason:
            terminal.line(f"{disk.name}: {disk.reason}")
    for warning in point.warnings:
        terminal.complain(f"warning: {warning}")
