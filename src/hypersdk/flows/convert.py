"""Convert one image to another format."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypersdk.datapath import imageinspect
from hypersdk.datapath.cancel import Cancellable, CancelToken
from hypersdk.datapath.image import create_image, open_image
from hypersdk.datapath.observed import Observed, ObservedSink
from hypersdk.datapath.pipeline import copy
from hypersdk.datapath.ports import BlockSource
from hypersdk.datapath.sparse import Sparse
from hypersdk.datapath.throttle import Rate, Throttled, TokenBucket
from hypersdk.model.errors import InvalidInput
from hypersdk.model.progress import Reporter, silent
from hypersdk.observe.progress import Counters, ProgressTicker

#: Our names of formats that QEMU calls otherwise.
_DRIVERS = {"vhd": "vpc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """Into what, and how."""

    #: ``raw``, ``qcow2``, ``vmdk``, ``vhdx``, ``vdi`` or ``vhd``.
    format: str = "qcow2"
    #: Of the source; empty: found out by looking, which a guest can mislead for raw disks.
    source_format: str = ""
    #: ``zlib`` or ``zstd``: how clusters of a qcow2 image are packed; empty: not at all.
    packing: str = ""
    #: Replace a file that is there.
    overwrite: bool = False
    #: Files and folders that the source may name as its backing files.
    allow_backing: Sequence[Path] = ()
    #: Bytes per second read; None: as fast as it goes.
    throttle: Rate | None = None
    #: Threads; None: one per core.
    workers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """An image that was made. Bytes, except ``seconds``."""

    path: Path
    format: str
    #: Virtual size.
    size: int
    #: Data written; the rest is zero.
    written: int
    #: What the file takes on its file system.
    stored: int
    seconds: float


def convert_image(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    options: ConvertOptions | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> Converted:
    """Write the disk in image ``source`` to a new image ``target``, which gets its name when it is
    complete and durable.

    Raises ImageRefused for a damaged source, AlreadyExists, InvalidInput, DataPathError,
    Interrupted; nothing is left of a target then.
    """
    options, token = options or ConvertOptions(), cancel or CancelToken()
    began, path, counters = time.monotonic(), Path(target), Counters()
    _refuse_itself(Path(source), path)
    format = _DRIVERS.get(options.format, options.format)
    driver = _DRIVERS.get(options.source_format, options.source_format) or None
    with token.scope(), open_image(source, driver, options.allow_backing) as opened:
        readable: BlockSource = Observed(opened, counters)
        if options.throttle:
            readable = Throttled(readable, TokenBucket(options.throttle))
        with (
            create_image(
                path, opened.size, format, options.overwrite, packing=options.packing
            ) as image,
            ProgressTicker(path.name, opened.size, counters, reporter),
        ):
            sink = Sparse(ObservedSink(image, counters))
            copy(Cancellable(readable, token), sink, workers=options.workers or os.cpu_count() or 2)
            image.commit()
        size = opened.size
    return Converted(
        path=path,
        format=options.format,
        size=size,
        written=counters.amounts.stored,
        stored=path.stat().st_blocks * 512,
        seconds=time.monotonic() - began,
    )


def find_converted(target: Path, format: str) -> Converted:
    """An image that an earlier call has made. Raises ImageRefused, DataPathError."""
    info = imageinspect.inspect(target, _DRIVERS.get(format, format))
    return Converted(
        path=target,
        format=format,
        size=info.size,
        written=0,
        stored=target.stat().st_blocks * 512,
        seconds=0.0,
    )


def _refuse_itself(source: Path, target: Path) -> None:
    if target.exists() and source.exists() and target.samefile(source):
        raise InvalidInput(f"{target} cannot be converted to itself", hint="Name another target.")
