"""Files of a complete export packed and sealed, one after another.

Both are for the way and the shelf: what comes out of them again is the package as it was written,
so descriptor and manifest speak of the files as they are inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hypersdk.artifacts.encryption import seal_file
from hypersdk.artifacts.newfile import new_file, opened
from hypersdk.artifacts.streams import Watched, pieces
from hypersdk.datapath.cancel import CancelToken
from hypersdk.flows.exporting.options import IMAGES, ExportOptions
from hypersdk.model.errors import InvalidInput
from hypersdk.model.progress import Reporter
from hypersdk.observe.progress import Counters, ProgressTicker

if TYPE_CHECKING:
    from hypersdk.artifacts.compression import Compression
    from hypersdk.artifacts.encryption import Seal


def check_compression(options: ExportOptions) -> None:
    """Raises InvalidInput for a codec that the format has no use for."""
    packing = options.compression
    if packing is None:
        return
    if options.format in {"ovf", "ova"} and packing.codec != "gzip":
        raise InvalidInput(
            f"disks of an {options.format.upper()} are packed with deflate, not {packing.codec}",
            hint="Use gzip, or export images: --format qcow2, raw, vhdx …",
        )
    if options.format == "qcow2" and packing.codec == "lz4":
        raise InvalidInput(
            "qcow2 images cannot be packed with lz4", hint="Use zstd or gzip, or another format."
        )


def packed_whole(options: ExportOptions) -> Compression | None:
    """How files of disks are packed as a whole; None: they are not."""
    packs = options.format in IMAGES and options.format != "qcow2"
    return options.compression if packs else None


def carry(
    folder: Path,
    disks: Iterable[str],
    others: Iterable[str],
    options: ExportOptions,
    instance: str,
    reporter: Reporter,
    token: CancelToken,
) -> dict[str, str]:
    """Pack the files of disks and seal all files, removing each as soon as its successor is there.

    Returns name before → name now.
    """
    names = {name: name for name in (*disks, *others)}
    packing = packed_whole(options)
    if packing is not None:
        for name in disks:
            names[name] = _packed(folder / name, packing, instance, reporter, token).name
    if options.seal is not None:
        seal = options.seal.ready()
        for before, now in names.items():
            names[before] = _sealed(folder / now, seal, instance, reporter, token).name
    return names


def _packed(
    path: Path, packing: Compression, instance: str, reporter: Reporter, token: CancelToken
) -> Path:
    counters = Counters()
    target = path.with_name(path.name + packing.suffix)
    with (
        ProgressTicker(f"{instance}: pack {path.name}", path.stat().st_size, counters, reporter),
        opened(path) as file,
        new_file(target, overwrite=True) as output,
        packing.output(output) as packer,
    ):
        for data in pieces(Watched(file, progress=lambda n: counters.add(read=n), cancel=token)):
            packer.write(data)
    path.unlink()
    return target


def _sealed(path: Path, seal: Seal, instance: str, reporter: Reporter, token: CancelToken) -> Path:
    counters = Counters()
    with ProgressTicker(f"{instance}: seal {path.name}", path.stat().st_size, counters, reporter):
        made = seal_file(
            path, seal, overwrite=True, progress=lambda n: counters.add(read=n), cancel=token
        )
    path.unlink()
    return made
