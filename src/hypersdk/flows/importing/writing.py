"""Disks of a package into what a hypervisor gives to write to."""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol, runtime_checkable

from hypersdk.datapath.cancel import Cancellable, CancelToken
from hypersdk.datapath.observed import Observed, ObservedSink
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.datapath.sparse import Sparse
from hypersdk.datapath.streamvmdkwriter import Output
from hypersdk.datapath.throttle import Rate, Throttled, TokenBucket
from hypersdk.flows.exporting.reading import Reading
from hypersdk.flows.importing.options import ImportedDisk
from hypersdk.model.progress import Reporter
from hypersdk.observe.progress import Counters, ProgressTicker
from hypersdk.ovf.machine import OvfDisk


@runtime_checkable
class TakesStream(Protocol):
    """A sink that is filled by a streamOptimized VMDK, from front to back."""

    def stream(self) -> Output: ...


class DiskWriter:
    """Writes disks of one package."""

    def __init__(
        self, instance: str, reporter: Reporter, throttle: Rate | None, parallel: int
    ) -> None:
        self._instance = instance
        self._reporter = reporter
        self._bucket = TokenBucket(throttle) if throttle else None
        self._workers = max(2, (os.cpu_count() or 2) // parallel)
        self._beginning = threading.Lock()

    def write(
        self, disk: OvfDisk, name: str, source: BlockSource, sink: BlockSink, token: CancelToken
    ) -> ImportedDisk:
        """``name``: of the disk in the instance. Raises what reading and writing raise."""
        began = time.monotonic()
        if self._bucket is not None:
            source = Throttled(source, self._bucket)
        task = f"{self._instance}/{name}"
        if isinstance(sink, TakesStream):
            counters = self._stream(disk, task, source, sink, token)
        else:
            counters = self._copy(task, source, sink, token)
        return ImportedDisk(
            name=name,
            file=disk.file,
            size=disk.capacity,
            written=counters.amounts.stored,
            seconds=time.monotonic() - began,
        )

    def _copy(
        self, task: str, source: BlockSource, sink: BlockSink, token: CancelToken
    ) -> Counters:
        counters = Counters()
        watched = Cancellable(Observed(source, counters), token)
        with ProgressTicker(task, source.size, counters, self._reporter):
            copy(watched, Sparse(ObservedSink(sink, counters)), workers=self._workers)
        return counters

    def _stream(
        self, disk: OvfDisk, task: str, source: BlockSource, sink: TakesStream, token: CancelToken
    ) -> Counters:
        """A package's own packed bytes go on as they are, every grain checked."""
        reading = Reading(source, None, token)
        with self._beginning:  # streams of one machine may share what the first one begins
            output = sink.stream()
        with ProgressTicker(task, source.size, reading.counters, self._reporter):
            reading.write_vmdk(
                output,
                name=disk.file or f"{disk.id}.vmdk",
                adapter="lsilogic",
                workers=self._workers,
                level=1,
            )
        return reading.counters
