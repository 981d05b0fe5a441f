"""``hypersdk restore``"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import hypersdk
from hypersdk import Interrupted, RestoredDisk, RestoreOptions
from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.keys import Unlock, key_options, repository_option
from hypersdk.cli.parameters import PATH, RATE, Words
from hypersdk.cli.progress import watching
from hypersdk.cli.tables import Column, Table, left, right
from hypersdk.cli.terminal import Terminal

FORMATS = ("raw", "qcow2", "vmdk", "vhdx", "vdi")


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    point: str
    to: Path
    disk: str | None
    settings: RestoreOptions
    unlock: Unlock


@click.command("restore", cls=Command)
@repository_option
@click.argument("point")
@click.option("--to", type=PATH, required=True, help="The file; a folder for several disks.")
@click.option("--disk", metavar="NAME", help="Only this disk.")
@click.option(
    "--format", type=Words(FORMATS), default="raw", show_default=True, help="Of the file."
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.option("--throttle", type=RATE, metavar="RATE", help="Write at most this much: 100MiB/s.")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Threads.  [default: one per core]"
)
@key_options
@click.pass_obj
def restore(
    terminal: Terminal,
    /,
    format: str,
    overwrite: bool,
    throttle: int | None,
    workers: int | None,
    **given: Any,
) -> None:
    """Write the disks of a restore point to image files.

    POINT is NAME (the latest), NAME@2026-11-21T02:00 (the last one before), an id or the beginning
    of one. Every chunk is compared with its id on the way; a file gets its name when it is whole.
    """
    settings = RestoreOptions(
        format=format,
        overwrite=overwrite,
        throttle=throttle,
        workers=workers or terminal.settings.workers,
    )
    run(terminal, Options(settings=settings, **given))


def run(terminal: Terminal, options: Options) -> None:
    with options.unlock.open(terminal, options.repo) as repository:
        point = repository.find(options.point)
        with cancelling(terminal) as cancel, watching(terminal) as watch:
            try:
                disks = hypersdk.restore(
                    repository,
                    point,
                    options.to,
                    disk=options.disk,
                    options=options.settings,
                    reporter=watch,
                    cancel=cancel,
                )
            except Interrupted as error:
                raise Interrupted(
                    f"the restore of {point.instance} was interrupted",
                    hint="Unfinished files were removed.",
                ) from error
    terminal.result({"point": records.point(point), "disks": list(map(records.restored, disks))})
    _show(terminal, disks)


def _show(terminal: Terminal, disks: list[RestoredDisk]) -> None:
    columns = (
        *left("DISK"),
        *right("SIZE", "WRITTEN", "SECONDS", "MiB/s"),
        Column("PATH", fold=True),
    )
    table = Table(columns)
    for disk in disks:
        table.add(
            disk.disk,
            words.size(disk.size),
            words.size(disk.written),
            f"{disk.seconds:.1f}",
            words.speed(disk.written, disk.seconds),
            str(disk.path),
        )
    terminal.table(table)
