"""A disk of a view, open: bounded, counted, cancellable, and watched, so that a failure can be
told to be the source's and not the target's."""

from __future__ import annotations

import time
from typing import Self

from hypersdk.datapath.cancel import Cancellable, CancelToken
from hypersdk.datapath.handle import Handle
from hypersdk.datapath.observed import Observed
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.streamvmdk import Digesting, Hash
from hypersdk.datapath.streamvmdkwriter import Output, write_stream_vmdk
from hypersdk.datapath.wrapping import WrappedSource
from hypersdk.flows.attempts import Faults, Recording, Watched
from hypersdk.flows.exporting.bandwidth import Bound
from hypersdk.model.errors import DataPathError, HyperSDKError
from hypersdk.observe.progress import Counters


class _Bounded(WrappedSource):
    """Bounds what is read."""

    def __init__(self, inner: BlockSource, bound: Bound) -> None:
        super().__init__(inner)
        self._bound = bound

    def readinto(self, offset: int, buffer: memoryview) -> None:
        self._bound.take(len(buffer))
        began = time.monotonic()
        self.inner.readinto(offset, buffer)
        self._bound.passed(len(buffer), time.monotonic() - began)


class Reading(Handle):
    """One attempt to read one disk. ``source`` is what a copy takes."""

    def __init__(self, opened: BlockSource, bound: Bound | None, token: CancelToken) -> None:
        self.counters = Counters()
        self._faults = Faults(bound.failed) if bound is not None else Faults()
        self._stream = opened if isinstance(opened, Recording) else None
        self._bound = bound
        # What comes over the wire of a stream is packed; its recorder counts that instead.
        bounded = opened if bound is None or self._stream is not None else _Bounded(opened, bound)
        watched = Watched(bounded, self._faults)
        self.source: BlockSource = Cancellable(Observed(watched, self.counters), token)

    @property
    def fault(self) -> HyperSDKError | None:
        """The error that came from the source, if one did."""
        return self._faults.error

    @property
    def streamed(self) -> bool:
        """It comes once, from the beginning: what was read of it cannot be taken up again."""
        return self._stream is not None

    def write_vmdk(
        self, output: Output, *, name: str, adapter: str, workers: int, level: int
    ) -> None:
        """The disk as a streamOptimized VMDK: the source's own bytes where it has such, each
        grain inflated and checked on the way; packed here otherwise."""
        counted = _Counted(output, self.counters)
        if self._stream is None:
            write_stream_vmdk(
                self.source, counted, name=name, adapter=adapter, level=level, workers=workers
            )
            return
        self._stream.record(_Tap(self._bound, counted))
        copy(self.source, _Nowhere(self.source.size), workers=workers)
        self.complete()

    def prepare(self) -> None:
        """For targets of another format: have the bound see what a stream brings."""
        if self._stream is not None and self._bound is not None:
            self._stream.record(_Tap(self._bound, None))

    def complete(self) -> None:
        """Raises DataPathError when a stream has not shown its end."""
        if self._stream is not None and not self._stream.finished:
            error = DataPathError(
                "the stream of the disk ended without its end marker",
                hint="It was cut on its way: export the disk again.",
            )
            self._faults.note(error)
            raise error

    def close(self) -> None:
        self.source.close()


class _Tap:
    """Takes what a stream brings: bounded, and passed on where somebody keeps it."""

    def __init__(self, bound: Bound | None, output: Output | None) -> None:
        self._bound = bound
        self._output = output

    def write(self, data: bytes, /) -> object:
        if self._bound is not None:
            self._bound.take(len(data))
        return self._output.write(data) if self._output is not None else None

    def digesting(self, algorithm: str) -> Hash | None:
        """See `Digesting`."""
        return _digesting(self._output, algorithm)


class _Counted:
    """Counts what an output takes as stored."""

    def __init__(self, output: Output, counters: Counters) -> None:
        self._output = output
        self._counters = counters

    def write(self, data: bytes, /) -> object:
        self._counters.add(stored=len(data))
        return self._output.write(data)

    def digesting(self, algorithm: str) -> Hash | None:
        """See `Digesting`."""
        return _digesting(self._output, algorithm)


def _digesting(output: object, algorithm: str) -> Hash | None:
    return output.digesting(algorithm) if isinstance(output, Digesting) else None


class _Nowhere(Handle):
    """A sink for disks that are only looked at."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.granularity = 1

    def write(self, offset: int, data: memoryview) -> None:
        """Looked at, and forgotten."""

    def zero(self, offset: int, length: int) -> None:
        """Nothing to do."""

    def flush(self) -> None:
        """Nothing was kept."""

    def clone(self) -> Self:
        return self

    def close(self) -> None:
        """Nothing is held."""
