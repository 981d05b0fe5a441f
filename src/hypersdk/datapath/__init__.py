"""How bytes of disks move: two ports, their kinds, and one pipeline."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.datapath.raw import RawSource

__all__ = ["BlockSink", "BlockSource", "open_source"]


def open_source(
    text: str | os.PathLike[str],
    *,
    format: str | None = None,
    allow_backing: Sequence[str | os.PathLike[str]] = (),
) -> BlockSource:
    """A disk by what a user types: an NBD URI, an image file of any format, a block device.

    ``format`` and ``allow_backing`` are for files, see `imageinspect.inspect`.
    """
    # Imported here: `import hypersdk` should not load what only some disks need.
    from hypersdk.datapath import image, nbd  # noqa: PLC0415

    name = os.fspath(text)
    if nbd.is_nbd_uri(name):
        return nbd.NbdSource(name)
    if format == "raw":
        return RawSource(name)
    return image.open_image(name, format, allow_backing)
