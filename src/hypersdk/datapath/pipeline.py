"""The one way bytes move: source → pipeline → sink.

The calling thread walks the extents and cuts them into requests; workers, each with its own
clone of both ends and one buffer, carry them out. The queue between is short, so memory is
``workers * request_size`` and a slow sink slows the walk. The first error closes the queue, the
others end after the request they are in, and that error is the one raised.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from queue import SimpleQueue
from typing import NamedTuple, TypeVar

from hypersdk.datapath.areas import aligned
from hypersdk.datapath.cancel import token_in_force
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.model.errors import DataPathError
from hypersdk.model.extents import Extent, ExtentKind

T = TypeVar("T")

#: Longest area in bytes that is zeroed at once: between two requests a copy can be cancelled.
ZERO_REQUEST = 1 << 30


class Request(NamedTuple):
    """One step of a worker: copy or zero ``length`` bytes at ``offset``."""

    offset: int
    length: int
    zero: bool


def copy(
    source: BlockSource, sink: BlockSink, *, request_size: int = 1 << 20, workers: int = 2
) -> None:
    """Bring what is known to differ from ``source`` to ``sink``, and make it durable.

    ``UNCHANGED`` areas are skipped, ``ZERO`` areas are zeroed without being read, ``DATA`` is
    copied in requests of at most ``request_size`` bytes (rounded to the sink's granularity). A
    granule of the sink that mixes kinds is read whole. Of a larger sink, the rest of the granule
    in which the source ends is zeroed, and what lies behind it is left alone.

    Raises the first error of any thread, also Interrupted and KeyboardInterrupt; no thread and
    no clone is left behind then, but the sink may hold a part of the bytes.
    """
    if source.size > sink.size:
        raise DataPathError(
            f"the source has {source.size} bytes, the target only {sink.size}",
            hint="Give a target of at least the size of the source.",
        )
    step = max(request_size // sink.granularity, 1) * sink.granularity
    token = token_in_force()
    queue = _RequestQueue(limit=2 * workers)
    with contextlib.ExitStack() as undo:
        team = [_worker(source, sink, queue, step, undo) for _ in range(workers)]
        clones = undo.pop_all()  # from here on each worker closes its own
    try:
        for thread in team:
            thread.start()
        for request in requests(_padded(source, sink), sink.size, sink.granularity, step):
            token.check()
            if not queue.put(request):
                break
        queue.finish()
    except BaseException as error:  # noqa: BLE001 - kept, and raised below when it was first
        queue.fail(error)
    _join(team, queue)
    clones.close()  # those of workers that could not be started
    if queue.error is not None:
        raise queue.error
    sink.flush()


def in_order(
    source: BlockSource,
    make: Callable[[int, memoryview], T],
    *,
    granularity: int,
    request_size: int = 1 << 20,
    workers: int = 2,
) -> Generator[tuple[int, T]]:
    """For outputs that are written from front to back: what ``make(offset, data)`` gives for each
    area of data, with its offset, in the order of the disk. Zero areas are left out.

    ``make`` runs in ``workers`` threads; at most two results per worker wait to be taken. The
    last area may be shorter than the granularity. Raises the first error; closing the iterator
    ends the threads.
    """
    step = max(request_size // granularity, 1) * granularity
    token = token_in_force()
    with contextlib.ExitStack() as undo:
        handles: SimpleQueue[tuple[BlockSource, memoryview]] = SimpleQueue()
        for _ in range(workers):
            clone = undo.enter_context(source.clone())
            handles.put((clone, memoryview(bytearray(step))))
        pool = undo.enter_context(ThreadPoolExecutor(workers, "copy"))
        waiting: deque[tuple[int, Future[T]]] = deque()

        def work(offset: int, length: int) -> T:
            reader, buffer = handles.get()
            try:
                reader.readinto(offset, buffer[:length])
                return make(offset, buffer[:length])
            finally:
                handles.put((reader, buffer))

        undo.callback(lambda: [future.cancel() for _, future in waiting])
        for offset, length, zero in requests(source.extents(), source.size, granularity, step):
            token.check()
            if zero:
                continue
            waiting.append((offset, pool.submit(copy_context().run, work, offset, length)))
            if len(waiting) > 2 * workers:
                at, future = waiting.popleft()
                yield at, future.result()
        while waiting:
            at, future = waiting.popleft()
            yield at, future.result()


def requests(
    extents: Iterable[Extent], size: int, granularity: int, step: int
) -> Iterator[Request]:
    """Cut extents of a disk of ``size`` bytes into requests that keep to ``granularity``.

    Requests for data end on multiples of ``step`` bytes, so that those of the next run of the
    same disk meet the same borders.
    """
    zero_step = max(ZERO_REQUEST // granularity, 1) * granularity
    for extent in aligned(extents, granularity, size):
        if extent.kind is ExtentKind.UNCHANGED:
            continue
        zero = extent.kind is ExtentKind.ZERO
        width = zero_step if zero else step
        at, end = extent.start, extent.end
        while at < end:
            border = min(at - at % width + width, end)
            yield Request(at, border - at, zero)
            at = border


def _padded(source: BlockSource, sink: BlockSink) -> Iterator[Extent]:
    """The source's extents, followed by zeroes up to the end of the sink's last touched granule."""
    yield from source.extents()
    end = min(source.size + -source.size % sink.granularity, sink.size)
    if end > source.size:
        yield Extent(source.size, end - source.size, ExtentKind.ZERO)


def _worker(
    source: BlockSource,
    sink: BlockSink,
    queue: _RequestQueue,
    step: int,
    clones: contextlib.ExitStack,
) -> threading.Thread:
    """A thread, not yet started, with its own handles; made here because a source that is
    walked by one thread must not be cloned by another."""
    reader = clones.enter_context(source.clone())
    writer = clones.enter_context(sink.clone())
    # The copied context carries the cancel scope of the caller into the thread.
    return threading.Thread(
        target=copy_context().run, args=(_work, reader, writer, queue, step), name="copy"
    )


def _work(source: BlockSource, sink: BlockSink, queue: _RequestQueue, step: int) -> None:
    try:
        with source, sink:
            _carry_out(source, sink, queue, step)
    except BaseException as error:  # noqa: BLE001 - raised by copy() in the caller's thread
        queue.fail(error)
    finally:
        queue.leave()


def _carry_out(source: BlockSource, sink: BlockSink, queue: _RequestQueue, step: int) -> None:
    buffer = memoryview(bytearray(step))
    size = source.size
    while (request := queue.get()) is not None:
        offset, length, zero = request
        if zero:
            sink.zero(offset, length)
            continue
        part = buffer[:length]
        if offset + length > size:  # the padding of the last granule
            part[size - offset :] = bytes(offset + length - size)
            source.readinto(offset, part[: size - offset])
        else:
            source.readinto(offset, part)
        sink.write(offset, part)


def _join(team: list[threading.Thread], queue: _RequestQueue) -> None:
    """Wait for all workers, also when Ctrl-C arrives while waiting.

    Not by Thread.join alone: interrupted, it takes a running thread for a stopped one
    (CPython 3.10 to 3.12, after bpo-45274).
    """
    started = [thread for thread in team if thread.ident is not None]
    while queue.left < len(started):
        try:
            queue.wait_for_leavers(len(started))
        except BaseException as error:  # noqa: BLE001 - kept if first, raised by copy()
            queue.fail(error)
    for thread in started:
        thread.join()


class _RequestQueue:
    """A short queue that can be closed from both ends and keeps the first error."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._requests: deque[Request] = deque()
        self._closed = False
        self._lock = threading.Lock()
        self._readable = threading.Condition(self._lock)
        self._writable = threading.Condition(self._lock)
        self._leaving = threading.Condition(self._lock)
        self.error: BaseException | None = None
        #: Workers that are done with their handles.
        self.left = 0

    def put(self, request: Request) -> bool:
        """Add a request, waiting for room. False when an error has closed the queue."""
        with self._lock:
            while len(self._requests) >= self._limit and not self._closed:
                self._writable.wait()
            if self._closed:
                return False
            self._requests.append(request)
            self._readable.notify()
            return True

    def get(self) -> Request | None:
        """The next request, or None when there will be none."""
        with self._lock:
            while not self._requests:
                if self._closed:
                    return None
                self._readable.wait()
            self._writable.notify()
            return self._requests.popleft()

    def finish(self) -> None:
        """No more requests will come; those in the queue are still carried out."""
        with self._lock:
            self._closed = True
            self._readable.notify_all()

    def leave(self) -> None:
        """Said by a worker that will touch nothing any more."""
        with self._lock:
            self.left += 1
            self._leaving.notify_all()

    def wait_for_leavers(self, count: int) -> None:
        """Return when ``count`` workers have left."""
        with self._lock:
            while self.left < count:
                self._leaving.wait()

    def fail(self, error: BaseException) -> None:
        """Keep ``error`` if it is the first, and drop what is waiting."""
        with self._lock:
            if self.error is None:
                self.error = error
            self._closed = True
            self._requests.clear()
            self._readable.notify_all()
            self._writable.notify_all()
