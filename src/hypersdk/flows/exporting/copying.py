"""One disk from its view into its file, and again when its source fails on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hypersdk.artifacts.checksums import digest_of
from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.image import create_image
from hypersdk.datapath.observed import ObservedSink
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.sparse import Sparse
from hypersdk.datapath.streamvmdkwriter import DEFAULT_LEVEL, Output
from hypersdk.drivers.diskports import DiskView
from hypersdk.flows import attempts
from hypersdk.flows.attempts import SourceFailed
from hypersdk.flows.exporting.bandwidth import Bound
from hypersdk.flows.exporting.checkpoint import FinishedDisk
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.flows.exporting.outputs import NewFile
from hypersdk.flows.exporting.reading import Reading
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.instances import Purpose
from hypersdk.model.progress import Reporter
from hypersdk.observe.progress import ProgressTicker

T = TypeVar("T")

#: gzip's levels → isal's, which packs the grains of VMDKs.
_GRAIN_LEVELS = {1: 1, 2: 2, 3: 2, 4: 2, 5: 2}
#: Our name of a format → QEMU's, where they differ.
_DRIVERS = {"vhd": "vpc"}
_QCOW2_PACKINGS = {"gzip": "zlib", "zstd": "zstd"}


@dataclass(frozen=True, slots=True)
class Copied:
    """A disk that was read. Bytes, except ``seconds``."""

    read: int
    seconds: float
    streamed: bool


class DiskCopier:
    """Copies disks of one instance with one set of options; used by several threads."""

    def __init__(self, instance: str, options: ExportOptions, reporter: Reporter) -> None:
        self._instance = instance
        self._options = options
        self._reporter = reporter
        self._bound = Bound(options.bandwidth) if options.bandwidth else None
        cores = os.cpu_count() or 2
        self.workers = options.workers or max(2, cores // options.parallel)
        #: Disks that were begun anew, for people: one sentence each.
        self.notes: list[str] = []

    def to_file(
        self, view: DiskView, path: Path, token: CancelToken
    ) -> tuple[FinishedDisk, Copied]:
        """Write the disk to ``path``, which does not exist. Raises what reading and writing raise,
        with the instance and the disk in front."""
        if view.disk.purpose is not Purpose.DISK:
            return self._image(view, path, token, "raw")
        if path.suffix == ".vmdk" and self._options.format in {"ovf", "ova"}:
            return self._package(view, path, token)
        return self._image(view, path, token, self._options.format)

    def to_output(self, view: DiskView, output: Output, name: str, token: CancelToken) -> Copied:
        """One attempt to write the disk as a streamOptimized VMDK."""

        def write(reading: Reading) -> None:
            reading.write_vmdk(
                output, name=name, adapter=_adapter(view), workers=self.workers, level=self._level
            )

        return self._attempt(view, write, token)

    @property
    def _level(self) -> int:
        packing = self._options.compression
        return _GRAIN_LEVELS.get(packing.level, 3) if packing else DEFAULT_LEVEL

    def _package(
        self, view: DiskView, path: Path, token: CancelToken
    ) -> tuple[FinishedDisk, Copied]:
        def once() -> tuple[NewFile, Copied]:
            path.unlink(missing_ok=True)
            with NewFile(path, {"sha256", self._options.checksum}) as file:
                copied = self.to_output(view, file, path.name, token)
            return file, copied

        file, copied = self.again(view, once, token)
        finished = FinishedDisk(
            file=path.name,
            size=file.size,
            capacity=view.disk.size,
            digests=file.digests,
            read=copied.read,
        )
        return finished, copied

    def _image(
        self, view: DiskView, path: Path, token: CancelToken, format: str
    ) -> tuple[FinishedDisk, Copied]:
        copied = self.again(view, lambda: self._write_image(view, path, format, token), token)
        algorithms = {"sha256", self._options.checksum}
        finished = FinishedDisk(
            file=path.name,
            size=path.stat().st_size,
            capacity=view.disk.size,
            digests={each: digest_of(path, each, cancel=token) for each in algorithms},
            read=copied.read,
        )
        return finished, copied

    def _write_image(self, view: DiskView, path: Path, format: str, token: CancelToken) -> Copied:
        def write(reading: Reading) -> None:
            reading.prepare()
            size = reading.source.size
            driver = _DRIVERS.get(format, format)
            with create_image(path, size, driver, packing=self._packing(format)) as image:
                sink = Sparse(ObservedSink(image, reading.counters))
                copy(reading.source, sink, workers=self.workers)
                reading.complete()
                image.commit()

        return self._attempt(view, write, token)

    def _packing(self, format: str) -> str:
        packing = self._options.compression
        return _QCOW2_PACKINGS[packing.codec] if packing and format == "qcow2" else ""

    def _attempt(
        self, view: DiskView, write: Callable[[Reading], None], token: CancelToken
    ) -> Copied:
        began = time.monotonic()
        try:
            opened = view.open(full=True)
        except HyperSDKError as error:
            raise SourceFailed(error, streamed=False) from error
        with Reading(opened, self._bound, token) as reading:
            task = f"{self._instance}/{view.disk.name}"
            try:
                with ProgressTicker(task, reading.source.size, reading.counters, self._reporter):
                    write(reading)
            except HyperSDKError as error:
                if reading.fault is None:
                    raise
                raise SourceFailed(error, streamed=reading.streamed) from error
            read = reading.counters.amounts.read
            return Copied(read, time.monotonic() - began, reading.streamed)

    def again(self, view: DiskView, once: Callable[[], T], token: CancelToken) -> T:
        """``once()``, up to three times while it is the source that fails.

        The view stays the same, and with it the moment. A source that can be read anywhere is
        begun anew too: what was written of it is not trusted.
        """
        where = f"{self._instance}/{view.disk.name}"

        def attempt() -> T:
            try:
                return once()
            except HyperSDKError as error:
                raise attempts.named(error, f"disk {where} could not be written") from (
                    error.__cause__
                )

        return attempts.again(attempt, where, token, self.notes.append)


def _adapter(view: DiskView) -> str:
    return "ide" if view.disk.name.startswith(("ide", "hd")) else "lsilogic"
