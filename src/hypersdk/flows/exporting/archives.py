"""Disks into an OVA: one archive, written from front to back, without a second copy.

Disks come one after another, whatever the number of disks that may be read at the same time:
writing two at once into one file needs a second copy of all but the first, and the copy costs more
than reading side by side saves.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.direct import BUFFER, PastCacheFile
from hypersdk.datapath.failures import from_os
from hypersdk.datapath.streamvmdkwriter import Output
from hypersdk.drivers.diskports import BackupView, DiskView
from hypersdk.flows.exporting.checkpoint import FinishedDisk
from hypersdk.flows.exporting.copying import Copied, DiskCopier
from hypersdk.model.errors import InvalidInput
from hypersdk.model.instances import Purpose
from hypersdk.ovf.archive import BLOCK, OvaWriter, padded

_STEP = 1 << 20
#: Bytes: room for a descriptor grows in steps of it.
_ROOM = 64 << 10


def descriptor_room(definition: int) -> int:
    """For a descriptor that is made of a definition of so many bytes."""
    return _ROOM + 2 * (definition + -definition % _ROOM)


class Archive:
    """An archive under way."""

    def __init__(self, file: BinaryIO, name: str, files: Mapping[str, str]) -> None:
        """``files``: disk → its file, in the order of the archive."""
        self._file = file
        self._name = name
        self._files = files
        self._writer: OvaWriter | None = None

    def begin(self, room: int, done: Sequence[FinishedDisk]) -> Sequence[FinishedDisk]:
        """``done``: the first of the files, which the archive holds already. Returns those that
        really are in it, at their places."""
        files = list(self._files.values())
        if done and self._file.seek(0, os.SEEK_END) >= _end(done[-1]):
            writer = OvaWriter(self._file, self._name, files, room=room, written=_pairs(done))
            if writer.position == _end(done[-1]):
                self._writer = writer
                return done
        self._file.seek(0)
        self._file.truncate()
        self._writer = OvaWriter(self._file, self._name, files, room=room)
        return ()

    def add(
        self, view: DiskView, copier: DiskCopier, token: CancelToken
    ) -> tuple[FinishedDisk, Copied]:
        """Write the next disk, made durable before it counts as finished."""
        writer = self._begun()
        name = self._files[view.disk.name]
        place = writer.position

        def once() -> tuple[Copied, int, str]:
            with writer.member(name) as member:
                copied = _copied(view, member, name, copier, token)
            return copied, *writer.written(name)

        copied, size, digest = copier.again(view, once, token)
        self._file.flush()
        os.fsync(self._file.fileno())
        finished = FinishedDisk(
            file=name,
            size=size,
            capacity=view.disk.size,
            digests={"sha256": digest},
            read=copied.read,
            place=place,
        )
        return finished, copied

    def finish(self, descriptor: Callable[[dict[str, int]], bytes]) -> None:
        """Fill in descriptor and manifest, and make everything durable."""
        self._begun().finish(descriptor)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _begun(self) -> OvaWriter:
        if self._writer is None:
            raise InvalidInput("the archive was not begun")
        return self._writer


@contextmanager
def opened(path: Path, name: str, files: Mapping[str, str]) -> Iterator[Archive]:
    """The archive at ``path``, new or as an earlier run left it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with io.BufferedRandom(PastCacheFile(descriptor), BUFFER) as file:
            yield Archive(file, name, files)
    except OSError as error:
        raise from_os(error, path, "write") from error


def first_finished(
    files: Mapping[str, str], finished: Mapping[str, FinishedDisk]
) -> list[FinishedDisk]:
    """Those at the beginning of the archive, up to the first that is missing."""
    done: list[FinishedDisk] = []
    for disk in files:
        if disk not in finished:
            break
        done.append(finished[disk])
    return done


def in_order(view: BackupView) -> list[DiskView]:
    """Block devices first."""
    return sorted(view.disks, key=lambda each: each.disk.purpose is not Purpose.DISK)


def _pairs(done: Sequence[FinishedDisk]) -> list[tuple[int, str]]:
    return [(disk.size, disk.digests["sha256"]) for disk in done]


def _end(disk: FinishedDisk) -> int:
    """Place behind the file of a disk."""
    return disk.place + BLOCK + padded(disk.size)


def _copied(
    view: DiskView, output: Output, name: str, copier: DiskCopier, token: CancelToken
) -> Copied:
    if view.disk.purpose is Purpose.DISK:
        return copier.to_output(view, output, name, token)
    with view.open(full=True) as source:
        buffer = memoryview(bytearray(_STEP))
        for at in range(0, source.size, _STEP):
            token.check()
            part = buffer[: min(_STEP, source.size - at)]
            source.readinto(at, part)
            output.write(bytes(part))
        return Copied(source.size, 0.0, streamed=False)
