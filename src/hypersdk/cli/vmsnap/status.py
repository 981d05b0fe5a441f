"""``vmsnap --status``"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from hypersdk import (
    CheckpointStatus,
    HyperSDKError,
    Hypervisor,
    NotARepository,
    Repository,
    RestorePoint,
    StoreError,
    checkpoint_status,
)
from hypersdk.cli.keys import Need
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.cli.vmsnap import domains, requirements
from hypersdk.cli.vmsnap.domains import Selection
from hypersdk.cli.vmsnap.exits import Inconsistent, OutputRefused, noting, raise_failures
from hypersdk.cli.vmsnap.output import metric
from hypersdk.cli.vmsnap.places import Clock, Place

_LABELS = {True: "OK", False: "INCONSISTENT"}


@dataclass(frozen=True, slots=True)
class Options:
    selection: Selection
    #: With it, the status says what backups there are.
    place: Place | None = None
    pretty: bool = False
    #: Fail when a domain is inconsistent.
    strict: bool = False


@dataclass(frozen=True, slots=True)
class _Backups:
    """What the current period holds of a domain."""

    #: Folder with its restore points.
    path: str
    points: int
    #: Restore points that the next backup can build on.
    checkpoints: int
    #: Bytes that its restore points added to the repository, with themselves.
    size: int
    latest: RestorePoint | None


def run(terminal: Terminal, options: Options, clock: Clock) -> None:
    """Raises Inconsistent with ``strict``, and what failed for a domain."""
    requirements.look_at_images()
    failures: dict[str, HyperSDKError] = {}
    with domains.connected(options.selection) as hypervisor, ExitStack() as stack:
        selected = domains.select(hypervisor, options.selection)
        now = clock()
        repository = _repository(terminal, options, now, stack)
        for name in selected.names:
            with noting(partial(failures.__setitem__, name)):
                _report(terminal, options, hypervisor, repository, name, now)
        failures |= selected.unknown
    raise_failures("the status", failures, selected.names)


def _repository(
    terminal: Terminal, options: Options, now: datetime, stack: ExitStack
) -> Repository | None:
    """None without ``--output``, and before the first backup of a period."""
    if options.place is None:
        return None
    location = options.place.current(now)
    try:
        return stack.enter_context(options.place.unlock.open(terminal, location, Need.WELCOME))
    except NotARepository:
        return None
    except StoreError as error:
        if not options.place.exists():
            return None
        raise OutputRefused(error.message, hint=error.hint) from error


def _report(
    terminal: Terminal,
    options: Options,
    hypervisor: Hypervisor,
    repository: Repository | None,
    name: str,
    now: datetime,
) -> None:
    """Print one domain. Raises Inconsistent after that when it is to be strict."""
    backups = None
    if options.place is not None:
        backups = _backups(options.place.current(now), repository, name)
    status = checkpoint_status(hypervisor, name, backups.latest if backups else None)
    size: Callable[[int], int | str] = metric if options.pretty else int
    terminal.result({name: _document(status, backups, size)})
    _show(terminal, status, backups, size)
    problems = "; ".join(status.problems)
    if problems and terminal.json:
        terminal.complain(f"warning: {name}: {problems}")
    if problems and options.strict:
        raise Inconsistent(
            f"'{name}' is inconsistent: {problems}",
            hint="The next backup reads in full what it has to. To begin anew: "
            "vmsnap --scrub --scrubType '*' --domains …",
        )


def _backups(location: str, repository: Repository | None, name: str) -> _Backups:
    if repository is None:
        return _Backups(f"{location.rstrip('/')}/{name}", 0, 0, 0, None)
    entries = repository.entries(name)
    points = [] if repository.locked else repository.points(name)
    folder = entries[0].key.rpartition("/")[0] if entries else name
    stored = sum(disk.statistics.stored for point in points for disk in point.disks)
    return _Backups(
        path=f"{location.rstrip('/')}/{folder}",
        points=len(entries),
        checkpoints=sum(any(disk.checkpoint for disk in point.disks) for point in points),
        size=stored + sum(entry.size for entry in entries),
        latest=points[-1] if points else None,
    )


def _document(
    status: CheckpointStatus, backups: _Backups | None, size: Callable[[int], int | str]
) -> Document:
    document: Document = {
        "checkpoints": [checkpoint.name for checkpoint in status.checkpoints],
        "disks": [
            {
                "disk": disk.disk,
                "virtualSize": size(disk.virtual_size),
                "actualSize": size(disk.actual_size),
                "bitmaps": [bitmap.name for bitmap in disk.bitmaps],
            }
            for disk in status.disks
        ],
        "overallStatus": 0 if status.consistent else 1,
    }
    if backups is not None:
        document["backupDirStats"] = {
            "path": backups.path,
            "totalFiles": backups.points,
            "checkpoints": backups.checkpoints,
            "totalSize": size(backups.size),
        }
    return document


def _show(
    terminal: Terminal,
    status: CheckpointStatus,
    backups: _Backups | None,
    size: Callable[[int], int | str],
) -> None:
    say = terminal.line
    say(f"Status of {status.instance}:")
    say(f"  Overall status: {_LABELS[status.consistent]}")
    for problem in status.problems:
        say(f"    {problem}")
    if status.checkpoints:
        say(f"  Checkpoints found for {status.instance}:")
    else:
        say(f"  No checkpoints found for {status.instance}")
    for checkpoint in status.checkpoints:
        say(f"    {checkpoint.name}")
    for disk in status.disks:
        say(f"  Disk {disk.disk}:")
        say(f"    Virtual size: {size(disk.virtual_size)}")
        say(f"    Actual size: {size(disk.actual_size)}")
        names = ", ".join(bitmap.name for bitmap in disk.bitmaps)
        say(f"    Bitmaps: {names or disk.problem or 'none'}")
    if backups is not None:
        say(f"  Backups in {backups.path}:")
        say(f"    Restore points: {backups.points}")
        say(f"    With a checkpoint: {backups.checkpoints}")
        say(f"    Total size: {size(backups.size)}")
