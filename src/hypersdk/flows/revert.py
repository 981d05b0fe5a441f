"""Put an existing, stopped instance back to a restore point by writing only what differs.

Two steps keep both ends quiet: a chunk that the disk still has is recognised by its id and not
fetched, and of a chunk that differs only the differing grains are written.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from hypersdk.datapath.cancel import Cancellable, CancelToken
from hypersdk.datapath.observed import Observed
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.datapath.throttle import Throttled, TokenBucket
from hypersdk.datapath.wrapping import WrappedSink, WrappedSource
from hypersdk.drivers.diskports import Rewriting
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.restore import REQUEST_SIZE, RestoredDisk, RestoreOptions, usual_workers
from hypersdk.model.errors import HypervisorError, InvalidInput
from hypersdk.model.extents import Extent, ExtentKind
from hypersdk.model.instances import Purpose
from hypersdk.model.points import PointDisk, RestorePoint
from hypersdk.model.progress import Reporter, silent
from hypersdk.model.units import KIB, format_size
from hypersdk.observe.progress import Counters, ProgressTicker
from hypersdk.repository.repository import Repository
from hypersdk.repository.source import PointSource

#: Bytes that are compared and written at once: the cluster size of qcow2, so that an overlay does
#: not grow by whole chunks of which one byte differs.
GRAIN = 64 * KIB


def revert_instance(
    repository: Repository,
    point: RestorePoint,
    hypervisor: Hypervisor,
    instance: str,
    *,
    options: RestoreOptions | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> list[RestoredDisk]:
    """Make the disks of a stopped instance what they were at a restore point.

    Everything that was written since is lost. A run that is broken off leaves a mixture: run it
    again to complete it. Disks that the point does not have are left alone. ``format`` and
    ``overwrite`` of the options mean nothing here.
    Raises InvalidState while it runs, InvalidInput when disks do not fit, Damaged, KeyRequired.
    """
    options = options or RestoreOptions()
    token = cancel or CancelToken()
    if hypervisor.disks is None:
        raise HypervisorError(f"{hypervisor.url} gives no access to disks")
    with token.scope(), hypervisor.disks.rewrite(instance) as rewriting:
        pairs = _matched(point, rewriting, instance)
        return [
            _revert_disk(repository, point, disk, rewriting, path, options, reporter, token)
            for disk, path in pairs
        ]


def _matched(
    point: RestorePoint, rewriting: Rewriting, instance: str
) -> list[tuple[PointDisk, str]]:
    """Each disk of the point, and where it is; refused before anything is written."""
    here = {disk.name: disk for disk in rewriting.disks}
    pairs, problems = [], []
    for disk in point.disks:
        target = here.get(disk.name)
        if target is None:
            # Files of a direct boot are not the guest's to change.
            if disk.purpose in (Purpose.DISK, Purpose.NVRAM):
                problems.append(f"it has no {disk.name}")
        elif target.size != disk.size:
            sizes = f"{format_size(target.size)} instead of {format_size(disk.size)}"
            problems.append(f"{disk.name} has {sizes}")
        elif disk.purpose in (Purpose.DISK, Purpose.NVRAM):
            pairs.append((disk, target.path))
    if problems:
        raise InvalidInput(
            f"'{instance}' cannot be put back to {point.id}: {'; '.join(problems)}",
            hint="Restore it as another instance: --as NAME",
        )
    return pairs


def _revert_disk(
    repository: Repository,
    point: RestorePoint,
    disk: PointDisk,
    rewriting: Rewriting,
    path: str,
    options: RestoreOptions,
    reporter: Reporter,
    token: CancelToken,
) -> RestoredDisk:
    began = time.monotonic()
    counters = Counters()
    with rewriting.source(disk.name) as present, rewriting.sink(disk.name) as sink:
        source: BlockSource = NearestSource(repository.source(point, disk), present.clone())
        source = Observed(source, counters)
        if options.throttle:
            source = Throttled(source, TokenBucket(options.throttle))
        target = DifferingSink(sink.clone(), present.clone(), counters)
        with (
            Cancellable(source, token) as readable,
            target,
            ProgressTicker(f"{point.instance}/{disk.name}", disk.size, counters, reporter),
        ):
            workers = options.workers or usual_workers(repository)
            copy(readable, target, request_size=REQUEST_SIZE, workers=workers)
    seconds = time.monotonic() - began
    return RestoredDisk(Path(path), disk.name, disk.size, counters.amounts.stored, seconds)


class NearestSource(WrappedSource):
    """A restore point that takes chunks from the present disk where it still has them."""

    inner: PointSource

    def __init__(self, point: PointSource, present: BlockSource) -> None:
        super().__init__(point)
        self._present = present

    def readinto(self, offset: int, buffer: memoryview) -> None:
        """Whole chunks, as the pipeline asks for them."""
        chunk_size = self.inner.disk.chunk_size
        for at in range(0, len(buffer), chunk_size):
            part = buffer[at : at + chunk_size]
            self._present.readinto(offset + at, part)
            if not self.inner.holds(offset + at, part):
                self.inner.readinto(offset + at, part)

    def clone(self) -> NearestSource:
        return NearestSource(self.inner.clone(), self._present.clone())

    def close(self) -> None:
        super().close()
        self._present.close()


class DifferingSink(WrappedSink):
    """Writes only grains that differ from what the disk holds, and counts them."""

    def __init__(self, inner: BlockSink, present: BlockSource, counters: Counters) -> None:
        super().__init__(inner)
        self._present = present
        self._counters = counters
        self._held = memoryview(bytearray(REQUEST_SIZE))

    def write(self, offset: int, data: memoryview) -> None:
        held = self._held[: len(data)]
        self._present.readinto(offset, held)
        for start, end in _differing(held, data):
            self.inner.write(offset + start, data[start:end])
            self._counters.add(stored=end - start)

    def zero(self, offset: int, length: int) -> None:
        """What reads as zero already stays as it is: a hole, or zeroes that are stored."""
        for extent in self._present.extents(offset, length):
            if extent.kind is not ExtentKind.ZERO:
                self._zero(extent)

    def _zero(self, extent: Extent) -> None:
        nothing = bytes(len(self._held))
        for at in range(extent.start, extent.end, len(self._held)):
            held = self._held[: min(len(self._held), extent.end - at)]
            self._present.readinto(at, held)
            for start, end in _differing(held, memoryview(nothing)[: len(held)]):
                self.inner.zero(at + start, end - start)
                self._counters.add(stored=end - start)

    def clone(self) -> DifferingSink:
        return DifferingSink(self.inner.clone(), self._present.clone(), self._counters)

    def close(self) -> None:
        super().close()
        self._present.close()


def _differing(held: memoryview, wanted: memoryview) -> Iterator[tuple[int, int]]:
    """Runs of grains that differ, as offsets."""
    # As bytes: views are compared byte by byte, copies by memcmp, which is ten times as fast.
    old, new = bytes(held), bytes(wanted)
    if old == new:
        return
    begin = -1
    for at in range(0, len(new), GRAIN):
        if old[at : at + GRAIN] != new[at : at + GRAIN]:
            begin = at if begin < 0 else begin
        elif begin >= 0:
            yield begin, at
            begin = -1
    if begin >= 0:
        yield begin, len(new)
