"""Disks straight to a place, without a local copy.

Only streamOptimized VMDKs are written from front to back, so this is for the format ``ovf``: images
need random access, and the headers of an archive hold sizes that nobody knows before the end.
"""

from __future__ import annotations

from hypersdk.artifacts.checksums import new_digest
from hypersdk.artifacts.places.pushing import PushedFile
from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.diskports import DiskView
from hypersdk.flows.exporting.checkpoint import FinishedDisk
from hypersdk.flows.exporting.copying import Copied, DiskCopier
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.flows.exporting.uploading import Uploader
from hypersdk.model.errors import InvalidInput
from hypersdk.model.instances import Purpose


def check_streaming(options: ExportOptions) -> None:
    """Raises InvalidInput for what cannot be streamed."""
    if not options.stream_upload:
        return
    if options.format != "ovf":
        raise InvalidInput(
            f"the format {options.format} cannot be streamed to a place: {_reason(options.format)}",
            hint="Use --format ovf, or let it be written here first: without --stream-upload.",
        )
    if options.seal is not None or options.resume:
        raise InvalidInput(
            "an export that is streamed is neither sealed nor resumed",
            hint="Leave out --stream-upload, or the other one.",
        )


def _reason(format: str) -> str:
    if format == "ova":
        return "in an archive the size of a disk stands before its data, and is known at its end"
    return "images are not written from front to back"


class _Pushed:
    """Counts and hashes what goes to the place."""

    def __init__(self, output: PushedFile, algorithms: set[str]) -> None:
        self._output = output
        self._digests = {each: new_digest(each) for each in algorithms}
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self._output.write(data)
        for each in self._digests.values():
            each.update(data)
        self.size += len(data)
        return len(data)

    @property
    def digests(self) -> dict[str, str]:
        return {name: each.hexdigest() for name, each in self._digests.items()}


def stream_disk(
    view: DiskView,
    file: str,
    copier: DiskCopier,
    uploader: Uploader,
    options: ExportOptions,
    token: CancelToken,
) -> tuple[FinishedDisk, Copied]:
    """One disk. After a failure nothing of it is in the place."""
    if view.disk.purpose is not Purpose.DISK:
        raise InvalidInput(
            f"{view.disk.name} is no disk and cannot be streamed",
            hint=f"Leave it out with --exclude {view.disk.name}, or do not stream.",
        )

    def once() -> tuple[_Pushed, Copied]:
        target = PushedFile(
            uploader.place, uploader.remote(file), overwrite=options.overwrite, cancel=token
        )
        with target as output:
            pushed = _Pushed(output, {"sha256", options.checksum})
            copied = copier.to_output(view, pushed, file, token)
        uploader.confirm(file, target.placed, pushed.digests["sha256"])
        return pushed, copied

    pushed, copied = copier.again(view, once, token)
    finished = FinishedDisk(
        file=file,
        size=pushed.size,
        capacity=view.disk.size,
        digests=pushed.digests,
        read=copied.read,
    )
    return finished, copied
