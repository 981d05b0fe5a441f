"""Write disks of a restore point to files; every chunk is compared with its id on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypersdk.datapath.cancel import Cancellable, CancelToken
from hypersdk.datapath.failures import from_os
from hypersdk.datapath.image import create_image
from hypersdk.datapath.observed import Observed, ObservedSink
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.datapath.sparse import Sparse
from hypersdk.datapath.throttle import Rate, Throttled, TokenBucket
from hypersdk.model.errors import HyperSDKError, Interrupted, InvalidInput, PartialFailure
from hypersdk.model.instances import Purpose
from hypersdk.model.points import PointDisk, RestorePoint
from hypersdk.model.progress import Reporter, silent
from hypersdk.model.units import MIB
from hypersdk.observe.progress import Counters, ProgressTicker
from hypersdk.repository.repository import Repository, disk_named

#: Bytes of the disk restored at once: neighbours in a pack are fetched in one read.
REQUEST_SIZE = 4 * MIB
#: What a person means by "the disks"; the rest is there for whoever makes the instance anew.
_WANTED = (Purpose.DISK, Purpose.ARCHIVE)
#: Threads when the repository is far away: restores there are bound by latency.
REMOTE_WORKERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """How to restore."""

    #: ``raw``, ``qcow2``, ``vmdk``, ``vhdx`` or ``vdi``.
    format: str = "raw"
    #: Replace a file that is there.
    overwrite: bool = False
    #: Bytes per second written; None: as fast as it goes.
    throttle: Rate | None = None
    #: Threads; None: one per core, more for a remote repository.
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class RestoredDisk:
    """One disk that was written. Bytes, except ``seconds``."""

    path: Path
    disk: str
    #: Virtual size.
    size: int
    #: Data written; the rest is zero.
    written: int
    seconds: float


def restore(
    repository: Repository,
    point: RestorePoint,
    to: str | os.PathLike[str],
    *,
    disk: str | None = None,
    options: RestoreOptions | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> list[RestoredDisk]:
    """Write one disk to the file ``to``, or several disks into the folder ``to``.

    Files get their names when they are complete and durable; a failure leaves none behind.
    Raises AlreadyExists, Damaged, KeyRequired, PointNotFound, DataPathError, Interrupted;
    PartialFailure when some of several disks could not be restored, naming each.
    """
    options = options or RestoreOptions()
    targets = _targets(point, Path(to), disk, options.format)
    done: list[RestoredDisk] = []
    failures: dict[str, HyperSDKError] = {}
    with (token := cancel or CancelToken()).scope():
        for chosen, path in targets:
            try:
                done.append(
                    _restore_disk(repository, point, chosen, path, options, reporter, token)
                )
            except Interrupted:
                raise
            except HyperSDKError as error:
                if len(targets) == 1:
                    raise
                failures[chosen.name] = error
    if failures:
        written = ", ".join(restored.disk for restored in done) or "none"
        raise PartialFailure(
            f"{len(failures)} of {len(targets)} disks of {point.instance} could not be restored; "
            f"restored: {written}",
            failures,
        )
    return done


def restore_targets(
    point: RestorePoint, folder: Path, disks: Sequence[str], image_format: str
) -> dict[str, Path]:
    """Disk → its file in the folder, which is made, as ``restore`` calls it. ``disks``: only these;
    none: all. Raises PointNotFound, InvalidInput."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise from_os(error, folder, "create") from error
    chosen = [
        pair for name in disks or (None,) for pair in _targets(point, folder, name, image_format)
    ]
    return {disk.name: path for disk, path in chosen}


def _targets(
    point: RestorePoint, to: Path, disk: str | None, image_format: str
) -> list[tuple[PointDisk, Path]]:
    chosen: Sequence[PointDisk]
    if disk is None:
        chosen = [each for each in point.disks if each.purpose in _WANTED]
    else:
        chosen = [disk_named(point, disk)]
    for each in chosen:
        _check_format(each, image_format)
    if len(chosen) == 1 and not to.is_dir():
        return [(chosen[0], to)]
    if to.exists() and not to.is_dir():
        raise InvalidInput(
            f"{point.instance} has {len(chosen)} disks and {to} is a file",
            hint="Name a folder, or choose one with --disk.",
        )
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise from_os(error, to, "create") from error
    names: dict[str, PointDisk] = {}
    for one in chosen:
        name = f"{one.name.replace('/', '_')}.{_suffix(one, image_format)}"
        while name in names:  # of pool/a and pool_a
            name = f"_{name}"
        names[name] = one
    return [(one, to / name) for name, one in names.items()]


def _suffix(disk: PointDisk, image_format: str) -> str:
    if disk.purpose is Purpose.ARCHIVE:
        return "tar"
    return "img" if image_format == "raw" else image_format


def _check_format(disk: PointDisk, image_format: str) -> None:
    if disk.purpose is Purpose.ARCHIVE and image_format != "raw":
        raise InvalidInput(
            f"{disk.name} is a tar archive and cannot be written as {image_format}",
            hint="Leave out the format: the file is the archive.",
        )


def _restore_disk(
    repository: Repository,
    point: RestorePoint,
    disk: PointDisk,
    path: Path,
    options: RestoreOptions,
    reporter: Reporter,
    token: CancelToken,
) -> RestoredDisk:
    with create_image(path, disk.size, options.format, options.overwrite) as image:
        restored = write_disk(repository, point, disk, image, path, options, reporter, token)
        image.commit()
    return restored


def write_disk(
    repository: Repository,
    point: RestorePoint,
    disk: PointDisk,
    sink: BlockSink,
    path: Path,
    options: RestoreOptions,
    reporter: Reporter,
    token: CancelToken,
) -> RestoredDisk:
    """Copy one disk into a fresh sink; ``path`` is where that is going to be found."""
    began = time.monotonic()
    counters = Counters()
    source: BlockSource = Observed(repository.source(point, disk), counters)
    if options.throttle:
        source = Throttled(source, TokenBucket(options.throttle))
    with (
        Cancellable(source, token) as readable,
        ProgressTicker(f"{point.instance}/{disk.name}", disk.size, counters, reporter),
    ):
        copy(
            readable,
            Sparse(ObservedSink(sink, counters)),
            request_size=REQUEST_SIZE,
            workers=options.workers or usual_workers(repository),
        )
    return RestoredDisk(
        path, disk.name, disk.size, counters.amounts.stored, time.monotonic() - began
    )


def usual_workers(repository: Repository) -> int:
    """Threads that read from a repository."""
    return REMOTE_WORKERS if repository.store.latency_bound else os.cpu_count() or 2
