"""Back up an image or an instance: view → disks through the pipeline → restore point."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hypersdk.datapath.cancel import Cancellable, CancelToken
from hypersdk.datapath.observed import Observed
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.throttle import Rate, Throttled, TokenBucket
from hypersdk.drivers.diskports import BackupView, DiskView, ViewOptions
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.attempts import ATTEMPTS, Faults, Recording, SourceFailed, Watched, again
from hypersdk.flows.audit import Rereading, lying_chunks
from hypersdk.flows.views import ImageView
from hypersdk.model.errors import Damaged, HyperSDKError, HypervisorError, InvalidInput
from hypersdk.model.points import DiskStatistics, PointDisk, RestorePoint
from hypersdk.model.progress import Reporter, silent
from hypersdk.model.units import MIB
from hypersdk.observe.progress import Amounts, Counters, ProgressTicker
from hypersdk.repository.layout import point_key
from hypersdk.repository.points import new_point_id
from hypersdk.repository.repository import Repository
from hypersdk.repository.session import DiskSink, WriteSession

#: Bytes asked of a source at once; a multiple of every chunk size up to it.
REQUEST_SIZE = MIB
#: Grains of a record of changes per chunk. With QEMU's of 64 KiB, 20 000 scattered writes stored
#: 503 MiB where chunks of 1 MiB stored 1231, and a full backup took as long.
CHUNK_GRAINS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOptions:
    """How to back up."""

    #: Bytes per second read from the source; None: as fast as it goes.
    throttle: Rate | None = None
    #: Written into the restore point.
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Bytes, for disks without an earlier point; None: the repository's default.
    chunk_size: int | None = None
    #: Read everything, whatever the hypervisor says has changed.
    full: bool = False
    #: Never removed by retention.
    pinned: bool = False
    #: Not removed before this moment.
    locked_until: datetime | None = None
    #: Threads that read, compress and encrypt; None: one per core.
    workers: int | None = None
    #: Format of an image; None: found out by looking, which a guest can mislead for raw disks.
    image_format: str | None = None
    #: Files and folders that an image may name as its backing files.
    allow_backing: tuple[Path, ...] = ()
    #: Disks of an instance that are left out.
    exclude: frozenset[str] = frozenset()
    #: Have the guest agent freeze filesystems for the moment of the backup, when it answers.
    freeze: bool = True
    #: Series of checkpoints that this backup goes on with; see `drivers.diskports.ViewOptions`.
    series: str = "hypersdk"
    #: Unix socket through which a running instance is read; empty: in a private folder.
    socket: str = ""

    def __post_init__(self) -> None:
        if self.locked_until is not None and self.locked_until.tzinfo is None:
            raise InvalidInput(
                f"the lock until {self.locked_until} has no time zone",
                hint="Give one: datetime(…, tzinfo=UTC).",
            )


def backup_image(
    repository: Repository,
    image: str | os.PathLike[str],
    name: str,
    *,
    options: BackupOptions | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> RestorePoint:
    """Back up an image file (any format qemu-nbd reads) or an NBD export as instance ``name``.

    The whole image is read; only what differs from earlier points is stored.
    Raises ImageRefused, DataPathError, StoreError, KeyRequired, Interrupted.
    """
    options = options or BackupOptions()
    location = os.fspath(image)
    with (cancel or CancelToken()).scope():
        view = ImageView(name, location, options.image_format, options.allow_backing)
        return _back_up(repository, view, location, None, options, reporter, cancel)


def backup_instance(
    repository: Repository,
    hypervisor: Hypervisor,
    instance: str,
    *,
    options: BackupOptions | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> RestorePoint:
    """Back up all disks of an instance at one moment, only changed blocks where they are known.

    Raises InstanceNotFound, HypervisorError, StoreError, KeyRequired, Interrupted.
    """
    options = options or BackupOptions()
    if hypervisor.disks is None:
        raise HypervisorError(f"{hypervisor.url} gives no access to disks")
    with (cancel or CancelToken()).scope():
        previous = repository.latest(instance)
        # Also for a full read: the driver then knows which checkpoints this one replaces.
        since = _tokens(previous)
        view = hypervisor.disks.view(instance, since, _view_options(options))
        return _back_up(repository, view, hypervisor.url, previous, options, reporter, cancel)


def _view_options(options: BackupOptions) -> ViewOptions:
    return ViewOptions(
        exclude=options.exclude,
        freeze=options.freeze,
        series=options.series,
        socket=options.socket,
    )


def _tokens(previous: RestorePoint | None) -> dict[str, str]:
    disks = previous.disks if previous else ()
    return {disk.name: disk.checkpoint for disk in disks if disk.checkpoint}


def _back_up(
    repository: Repository,
    view: BackupView,
    source: str,
    previous: RestorePoint | None,
    options: BackupOptions,
    reporter: Reporter,
    cancel: CancelToken | None,
) -> RestorePoint:
    with view, repository.write() as session:
        name = view.instance.name
        previous = _protected(repository, previous) if previous else repository.latest(name)
        time_begun, identity = repository.clock(), new_point_id()
        task = _DiskTask(repository, session, options, reporter, cancel, name)
        disks = [task.run(disk_view, previous) for disk_view in view.disks]
        view.confirm()
        point = RestorePoint(
            id=identity,
            instance=name,
            instance_id=view.instance.id,
            time=time_begun,
            stored_at=time_begun,
            key=point_key(name, time_begun, identity),
            disks=tuple(disks),
            consistency=view.consistency,
            source=source,
            tags=dict(options.tags),
            pinned=options.pinned,
            locked_until=options.locked_until,
            previous=previous.digest if previous else b"",
            definition_kind=view.definition.kind if view.definition else "",
            warnings=(*view.warnings, *task.warnings, *_missing(previous, disks, options)),
        )
        committed = session.commit(point, view.definition)
        view.keep_checkpoints()
        return committed


def _missing(
    previous: RestorePoint | None, disks: Sequence[PointDisk], options: BackupOptions
) -> list[str]:
    """A disk that is gone is worth a word: it may have been detached by mistake."""
    before = {disk.name for disk in previous.disks} if previous else set()
    gone = sorted(before - {disk.name for disk in disks} - options.exclude)
    return [f"{name} was in the last restore point and is no disk any more" for name in gone]


def _protected(repository: Repository, point: RestorePoint) -> RestorePoint | None:
    """The point, or None when it was pruned before our lease began.

    Only a point that exists under our lease keeps its chunks from being collected; without it
    nothing can be inherited and the disks are read in full.
    """
    return point if repository.has(point) else None


class _DiskTask:
    """Copies the disks of one instance into a session, one after another."""

    def __init__(
        self,
        repository: Repository,
        session: WriteSession,
        options: BackupOptions,
        reporter: Reporter,
        cancel: CancelToken | None,
        instance: str,
    ) -> None:
        self._repository = repository
        self._session = session
        self._options = options
        self._reporter = reporter
        self._cancel = cancel or CancelToken()
        self._instance = instance
        self._bucket = TokenBucket(options.throttle) if options.throttle else None
        self.warnings: list[str] = []

    def run(self, view: DiskView, previous: RestorePoint | None) -> PointDisk:
        name = view.disk.name
        before = next((d for d in previous.disks if d.name == name), None) if previous else None
        chunk_size = self._chunk_size(before, view.disk.granularity)
        if self._options.full:
            asked = "everything was to be read"
            return self._copy_disk(view, before, chunk_size, asked, inherit=False)
        incremental = (
            view.incremental
            and before is not None
            and (before.size, before.chunk_size) == (view.disk.size, chunk_size)
        )
        if incremental and (doubt := self._doubt(view, before, chunk_size)):
            return self._read_in_full(view, before, chunk_size, doubt)
        if not incremental:
            return self._copy_disk(view, before, chunk_size, view.reason, inherit=False)
        try:
            return self._copy_disk(view, before, chunk_size, view.reason, inherit=True)
        except Damaged as error:  # in the map of the last point
            return self._read_in_full(view, before, chunk_size, error.message)

    def _read_in_full(
        self, view: DiskView, before: PointDisk | None, chunk_size: int, reason: str
    ) -> PointDisk:
        self.warnings.append(
            f"{view.disk.name}: {reason}; the disk was read in full instead of its changes"
        )
        return self._copy_disk(view, before, chunk_size, reason, inherit=False)

    def _copy_disk(
        self,
        view: DiskView,
        before: PointDisk | None,
        chunk_size: int,
        reason: str,
        *,
        inherit: bool,
    ) -> PointDisk:
        """Begun anew when its source fails: chunks that were stored meanwhile are found by id."""
        began = time.monotonic()
        amounts: list[Amounts] = []

        def once() -> tuple[int, tuple[bytes, ...], int]:
            counters = Counters()
            sink = None
            try:
                with self._source(view, counters, chunk_size, full=not inherit) as source:
                    sink = self._sink(source.size, chunk_size, before, counters, inherit=inherit)
                    self._copy(view, source, sink, counters, attempt=len(amounts) + 1)
                    return source.size, *sink.finish()
            except SourceFailed:
                if sink is not None:
                    sink.discard()
                raise
            finally:
                amounts.append(counters.amounts)

        where = f"{self._instance}/{view.disk.name}"
        size, segments, changed = again(once, where, self._cancel, self.warnings.append)
        return PointDisk(
            name=view.disk.name,
            size=size,
            chunk_size=chunk_size,
            segments=segments,
            format=view.disk.format,
            purpose=view.disk.purpose,
            checkpoint=view.checkpoint,
            incremental=inherit,
            reason=reason,
            statistics=DiskStatistics(
                read=sum(each.read for each in amounts),
                changed=changed,
                stored=sum(each.stored for each in amounts),
                zero=amounts[-1].zero,
                unchanged=amounts[-1].unchanged,
                seconds=time.monotonic() - began,
            ),
        )

    def _sink(
        self,
        size: int,
        chunk_size: int,
        before: PointDisk | None,
        counters: Counters,
        *,
        inherit: bool,
    ) -> DiskSink:
        return self._session.disk(
            size,
            chunk_size,
            before,
            inherit=inherit,
            stored=lambda count: counters.add(stored=count),
        )

    def _chunk_size(self, before: PointDisk | None, granularity: int) -> int:
        """Fixed by a disk's first backup: other chunks would share nothing with the old ones.

        A disk with a record of its changes gets chunks of a few of its grains, since each change
        stores the whole chunk around it (docs/benchmarks.md, scattered writes).
        """
        if before is not None:
            return before.chunk_size
        if self._options.chunk_size is not None:
            return self._options.chunk_size
        usual = self._repository.chunk_size
        return min(usual, CHUNK_GRAINS * granularity) if granularity else usual

    def _doubt(self, view: DiskView, before: PointDisk | None, chunk_size: int) -> str:
        """Why the record of changed blocks is of no use; empty when it passes the audit."""
        with self._throttled(view.open()) as source:
            try:
                sink = self._session.disk(source.size, chunk_size, before, inherit=True)
                lies = len(lying_chunks(source, sink, random.SystemRandom()))
            except Damaged as error:  # in the map of the last point
                return error.message
        return f"the changed-block record lied about {lies} chunks of the sample" if lies else ""

    @contextmanager
    def _source(
        self, view: DiskView, counters: Counters, chunk_size: int, *, full: bool
    ) -> Iterator[BlockSource]:
        """Open for one attempt. An error that comes from it is raised as SourceFailed."""
        try:
            opened = view.open(full=full)
        except HyperSDKError as error:
            raise SourceFailed(error, streamed=False) from error
        faults = Faults()
        source = Observed(self._throttled(Watched(opened, faults)), counters, chunk_size)
        with source:
            try:
                yield source
            except HyperSDKError as error:
                if not faults.has(error):
                    raise
                raise SourceFailed(error, streamed=isinstance(opened, Recording)) from error

    def _throttled(self, source: BlockSource) -> BlockSource:
        bounded = Throttled(source, self._bucket) if self._bucket else source
        return Cancellable(bounded, self._cancel)

    def _copy(
        self,
        view: DiskView,
        source: BlockSource,
        sink: DiskSink,
        counters: Counters,
        *,
        attempt: int,
    ) -> None:
        must_read = frozenset(sink.must_read())
        if must_read:
            source = Rereading(source, must_read, sink.granularity)
        workers = self._options.workers or os.cpu_count() or 2
        task = f"{self._instance}/{view.disk.name}"
        if attempt > 1:
            task += f" (read again, {attempt} of {ATTEMPTS})"
        with ProgressTicker(task, source.size, counters, self._reporter):
            copy(source, sink, request_size=REQUEST_SIZE, workers=workers)
