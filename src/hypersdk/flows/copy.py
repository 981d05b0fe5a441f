"""Keep a second copy of a repository, or move restore points into another one."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypersdk.datapath.cancel import Cancellable, CancelToken
from hypersdk.datapath.observed import Observed
from hypersdk.datapath.pipeline import copy
from hypersdk.model.errors import KeyRequired
from hypersdk.model.points import CopyReport, PointDisk, RestorePoint
from hypersdk.model.progress import Progress, Reporter, silent
from hypersdk.model.units import MIB
from hypersdk.observe.progress import Counters, ProgressTicker
from hypersdk.repository.keys import Key
from hypersdk.repository.layout import point_key
from hypersdk.repository.replicate import copy_objects, found_copy, is_copy_of
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.open import open_store


def copy_repository(
    source: Repository,
    destination: str | Path,
    *,
    instance: str | None = None,
    key: Key | None = None,
    cache: Path | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> CopyReport:
    """Bring all points (of one instance when named) that the destination lacks.

    An empty place becomes a replica with the same keys; a replica gets what it lacks, as stored.
    A repository of its own gets the points read and stored anew: that needs a reader key of the
    source and, in ``key``, a key of the destination.
    """
    began = time.monotonic()
    token = cancel or CancelToken()
    points = source.points(instance)
    target = open_store(destination, create=True)
    same = is_copy_of(target, source.settings.repository_id)
    if same is False:
        with Repository.open(target, key, cache=cache) as other, token.scope():
            if other.locked:
                raise KeyRequired(f"{other.url} is encrypted with other keys; give one of them")
            moved = _transfer(source, other, points, reporter, token)
        return CopyReport(len(moved), 0, sum(moved), "transfer", time.monotonic() - began)
    if same is None:
        found_copy(source.store, target)

    def watch(done: int, total: int) -> None:
        token.check()
        reporter(Progress("copy", done, total, read=done, stored=done, finished=done >= total))

    copied = copy_objects(
        source.store, target, source.vault, points, source.packs_of(points), watch
    )
    target.close()
    return CopyReport(*copied, "replica", time.monotonic() - began)


def _transfer(
    source: Repository,
    target: Repository,
    points: Sequence[RestorePoint],
    reporter: Reporter,
    token: CancelToken,
) -> list[int]:
    """Stored bytes of each point that was moved. A point keeps its id, so it is moved once."""
    there = {point.id for point in target.points()}
    return [
        _transfer_point(source, target, point, reporter, token)
        for point in points
        if point.id not in there
    ]


def _transfer_point(
    source: Repository,
    target: Repository,
    point: RestorePoint,
    reporter: Reporter,
    token: CancelToken,
) -> int:
    previous = target.latest(point.instance)
    definition = source.definition(point)
    with target.write() as session:
        disks: list[PointDisk] = []
        for disk in point.disks:
            counters = Counters()
            sink = session.disk(
                disk.size,
                disk.chunk_size,
                None,
                inherit=False,
                stored=lambda count, counters=counters: counters.add(stored=count),  # type: ignore[misc]
            )
            readable = Observed(source.source(point, disk), counters, disk.chunk_size)
            task = f"{point.instance}/{disk.name} {point.time:%Y-%m-%d %H:%M}"
            with ProgressTicker(task, disk.size, counters, reporter):
                copy(
                    Cancellable(readable, token),
                    sink,
                    request_size=4 * MIB,
                    workers=os.cpu_count() or 2,
                )
            disks.append(replace(disk, segments=sink.finish()[0], checkpoint=None))
        moved = replace(
            point,
            key=point_key(point.instance, point.time, point.id),
            disks=tuple(disks),
            previous=previous.digest if previous else b"",
        )
        session.commit(moved, definition)
        return session.stored
