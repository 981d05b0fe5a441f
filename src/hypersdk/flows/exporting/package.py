"""The files around the disks: descriptor, manifest, checksums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hypersdk.artifacts.checksums import Checksum, digest_of, write_list, write_sidecar
from hypersdk.datapath.cancel import CancelToken
from hypersdk.flows.exporting.checkpoint import FinishedDisk
from hypersdk.flows.exporting.description import Description, WrittenDisk
from hypersdk.flows.exporting.layout import Layout
from hypersdk.flows.exporting.outputs import write_file
from hypersdk.flows.exporting.results import ExportedFile
from hypersdk.model.instances import Disk, Purpose
from hypersdk.ovf import manifest
from hypersdk.ovf.formats import URIS


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The disks that are written, and the instance that they are of."""

    description: Description
    disks: tuple[Disk, ...]
    files: Mapping[str, str]
    finished: Mapping[str, FinishedDisk]

    def written(self, format: str, sizes: Mapping[str, int] | None = None) -> list[WrittenDisk]:
        """Block devices, in the order of the instance. ``sizes``: of files that know theirs."""
        kind = "stream-vmdk" if format in {"ovf", "ova"} else format
        return [
            WrittenDisk(
                disk=disk,
                file=self.files[disk.name],
                format=kind,
                file_size=(sizes or {}).get(self.files[disk.name], 0)
                or self.finished[disk.name].size,
                capacity=self.finished[disk.name].capacity,
                populated=min(self.finished[disk.name].read, disk.size),
            )
            for disk in self.disks
            if disk.purpose is Purpose.DISK
        ]

    def others(self) -> dict[str, int]:
        """Files of other purposes, with their sizes."""
        return {
            self.files[disk.name]: self.finished[disk.name].size
            for disk in self.disks
            if disk.purpose is not Purpose.DISK
        }

    def of_file(self, name: str) -> str:
        """The disk that a file holds; empty: none."""
        return next((disk for disk, file in self.files.items() if file == name), "")


def write_descriptor(layout: Layout, contents: Contents) -> list[str]:
    """``.ovf`` and ``.mf`` beside the disks; returns their names. Nothing for what has no block
    device: archives of containers speak for themselves."""
    disks = contents.written(layout.format)
    if not disks or disks[0].format not in URIS:
        return []
    text = contents.description.descriptor(layout.name, disks, contents.others())
    write_file(layout.staging / layout.descriptor, text)
    digests = {layout.descriptor: digest_of(layout.staging / layout.descriptor)}
    for disk in contents.disks:
        digests[contents.files[disk.name]] = contents.finished[disk.name].digests["sha256"]
    write_file(layout.staging / layout.manifest, manifest.written(digests).encode())
    return [layout.descriptor, layout.manifest]


def write_checksums(
    folder: Path,
    names: Mapping[str, str],
    known: Mapping[str, str],
    algorithm: str,
    contents: Contents,
    token: CancelToken,
) -> list[ExportedFile]:
    """``checksums.txt`` over all files, and one file of its own beside each of the disks.

    ``names``: file → as which it is there now; ``known``: digests of files that are there as they
    were written.
    """
    files, checksums = [], []
    for before, now in names.items():
        digest = known.get(before, "") if now == before else ""
        digest = digest or digest_of(folder / now, algorithm, cancel=token)
        checksums.append(Checksum(now, algorithm, digest))
        disk = contents.of_file(before)
        path = folder / now
        # A disk that was streamed to a place is not here.
        size = path.stat().st_size if path.exists() else contents.finished[disk].size
        files.append(ExportedFile(name=now, size=size, digest=digest, disk=disk))
    made = [write_list(folder, checksums)]
    made += [write_sidecar(folder / each.name, each) for each in checksums]
    return files + [_described(path, algorithm) for path in made]


def _described(path: Path, algorithm: str) -> ExportedFile:
    return ExportedFile(name=path.name, size=path.stat().st_size, digest=digest_of(path, algorithm))


def names_of(files: Iterable[ExportedFile]) -> tuple[str, ...]:
    """In the order in which they are published."""
    return tuple(each.name for each in files)
