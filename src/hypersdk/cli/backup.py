"""``hypersdk backup``"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from hypersdk import (
    BackupOptions,
    CancelToken,
    HyperSDKError,
    Hypervisor,
    Interrupted,
    InvalidInput,
    PartialFailure,
    Repository,
    RestorePoint,
    backup_image,
    backup_instance,
    connect,
)
from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.keys import Unlock, key_options, repository_option
from hypersdk.cli.parameters import DURATION, MOMENT, PATH, RATE, SIZE, TAG
from hypersdk.cli.progress import Watch, watching
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Terminal
from hypersdk.model.instances import Purpose

COLUMNS = (
    *left("INSTANCE", "DISK", "KIND"),
    *right("READ", "CHANGED", "STORED", "RATIO", "SECONDS", "MiB/s"),
)


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    image: str | None
    name: str | None
    hypervisor: str | None
    instances: tuple[str, ...]
    settings: BackupOptions
    unlock: Unlock


@click.command("backup", cls=Command)
@repository_option
@click.option("--image", metavar="PATH|NBD-URI", help="A disk image file or an NBD export.")
@click.option("--name", metavar="NAME", help="Under which name the image is kept.")
@click.option("-H", "--hypervisor", metavar="URL", help="Where the instances are.")
@click.argument("instances", metavar="[INSTANCE]...", nargs=-1)
@click.option("--throttle", type=RATE, metavar="RATE", help="Read at most this much: 100MiB/s.")
@click.option("--tag", "tags", type=TAG, multiple=True, help="Note in the restore point.")
@click.option("--chunk-size", type=SIZE, help="For disks without an earlier restore point.")
@click.option("--full", is_flag=True, help="Read everything, whatever is said to have changed.")
@click.option("--pin", "pinned", is_flag=True, help="Never removed by prune.")
@click.option("--lock-until", type=MOMENT, help="Not removed before this moment (UTC).")
@click.option("--lock-for", type=DURATION, metavar="DURATION", help="The same, from now: 30d.")
@click.option(
    "--allow-backing",
    type=PATH,
    multiple=True,
    help="A file or folder that the image may name as its backing file.",
)
@click.option("--exclude-disk", "exclude", multiple=True, metavar="NAME", help="Leave out a disk.")
@click.option("--no-freeze", is_flag=True, help="Do not have the guest agent freeze filesystems.")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Threads.  [default: one per core]"
)
@key_options
@click.pass_obj
def backup(
    terminal: Terminal,
    /,
    throttle: int | None,
    tags: tuple[tuple[str, str], ...],
    chunk_size: int | None,
    full: bool,
    pinned: bool,
    lock_until: datetime | None,
    lock_for: timedelta | None,
    allow_backing: tuple[Path, ...],
    exclude: tuple[str, ...],
    no_freeze: bool,
    workers: int | None,
    **given: Any,
) -> None:
    """Back up an image, or instances of a hypervisor.

    \b
    hypersdk backup --repo REPO --image disk.qcow2 --name web
    hypersdk backup --repo REPO -H libvirt+qemu:///system web db

    Interrupt it at any time: what is stored by then is kept and reused by the next run.
    """
    if lock_until and lock_for:
        raise InvalidInput("--lock-until and --lock-for exclude each other")
    settings = BackupOptions(
        throttle=throttle,
        tags=dict(tags),
        chunk_size=chunk_size,
        full=full,
        pinned=pinned,
        locked_until=datetime.now(UTC) + lock_for if lock_for else lock_until,
        allow_backing=allow_backing,
        exclude=frozenset(exclude),
        freeze=not no_freeze,
        workers=workers or terminal.settings.workers,
    )
    run(terminal, Options(settings=settings, **given))


#: Backs up one part; the parts are independent of each other.
_Task = Callable[[Watch, CancelToken], RestorePoint]


def run(terminal: Terminal, options: Options) -> None:
    _check(options)
    with options.unlock.open(terminal, options.repo) as repository:
        if options.image is not None:
            tasks = {str(options.name): _image_task(repository, options)}
            points, failures = _run_all(terminal, tasks)
        else:
            hypervisor = connect(str(options.hypervisor))
            try:
                tasks = {
                    name: _instance_task(repository, hypervisor, name, options)
                    for name in options.instances
                }
                points, failures = _run_all(terminal, tasks)
            finally:
                hypervisor.close()
    terminal.result({"points": [records.point(point) for point in points]})
    _show(terminal, points)
    _raise(failures, len(tasks))


def _check(options: Options) -> None:
    if options.image is not None:
        if options.hypervisor or options.instances:
            raise InvalidInput("--image goes with no hypervisor and no instances")
        if not options.name:
            raise InvalidInput("an image needs a name", hint="Add --name NAME.")
    elif not options.hypervisor:
        raise InvalidInput(
            "nothing to back up was named",
            hint="Give --image PATH --name NAME, or -H URL INSTANCE…",
        )
    elif not options.instances:
        raise InvalidInput("no instance was named", hint="List them after the options.")
    elif options.name:
        raise InvalidInput("--name goes with --image only; instances keep their names")


def _image_task(repository: Repository, options: Options) -> _Task:
    return lambda watch, cancel: backup_image(
        repository,
        str(options.image),
        str(options.name),
        options=options.settings,
        reporter=watch,
        cancel=cancel,
    )


def _instance_task(
    repository: Repository, hypervisor: Hypervisor, name: str, options: Options
) -> _Task:
    return lambda watch, cancel: backup_instance(
        repository, hypervisor, name, options=options.settings, reporter=watch, cancel=cancel
    )


def _run_all(
    terminal: Terminal, tasks: dict[str, _Task]
) -> tuple[list[RestorePoint], dict[str, HyperSDKError]]:
    """One after another; what fails does not stop the others."""
    points: list[RestorePoint] = []
    failures: dict[str, HyperSDKError] = {}
    with cancelling(terminal) as cancel, watching(terminal) as watch:
        for name, task in tasks.items():
            try:
                points.append(task(watch, cancel))
            except Interrupted as error:
                raise _interrupted(name, points, watch) from error
            except HyperSDKError as error:
                failures[name] = error
    return points, failures


def _interrupted(name: str, done: list[RestorePoint], watch: Watch) -> Interrupted:
    complete = f"Complete: {', '.join(point.instance for point in done)}. " if done else ""
    return Interrupted(
        f"the backup of {name} was interrupted; it has no restore point",
        hint=f"{complete}{words.size(watch.stored)} stored so far are kept and reused by the "
        "next run.",
    )


def _show(terminal: Terminal, points: list[RestorePoint]) -> None:
    if not points:
        return
    table = Table(COLUMNS)
    for point in points:
        add_rows(table, point)
    terminal.table(table)
    for point in points:
        made = f"{point.instance}: restore point {point.id} of {words.moment(point.time)}"
        terminal.line(f"{made}, {words.consistency(point)}")
        if point.instance_id:
            for disk in point.disks:
                if not disk.incremental and disk.purpose is Purpose.DISK:
                    terminal.line(f"{point.instance}/{disk.name}: read in full: {disk.reason}")
        for warning in point.warnings:
            terminal.complain(f"warning: {point.instance}: {warning}")


def add_rows(table: Table, point: RestorePoint) -> None:
    """A row of `COLUMNS` per disk."""
    for disk in point.disks:
        counted = disk.statistics
        table.add(
            point.instance,
            disk.name,
            words.kind(disk),
            *map(words.size, (counted.read, counted.changed, counted.stored)),
            words.ratio(counted.changed, counted.stored),
            f"{counted.seconds:.1f}",
            words.speed(counted.read, counted.seconds),
        )


def _raise(failures: dict[str, HyperSDKError], total: int) -> None:
    """A single part that fails is the failure; of several, each is named."""
    if not failures:
        return
    if total == 1:
        raise next(iter(failures.values()))
    raise PartialFailure(f"{len(failures)} of {total} backups failed", failures)
