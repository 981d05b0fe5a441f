"""Disk images of instances: made for a `DiskSpec`, and taken back when something goes wrong."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from hypersdk.datapath import qemutools
from hypersdk.drivers.qmp.commandline import inspected
from hypersdk.drivers.qmp.definition import DiskRecord
from hypersdk.drivers.qmp.errors import from_words, native
from hypersdk.model.errors import AlreadyExists, InvalidInput, NotFound
from hypersdk.model.specs import DiskSpec

#: Bus → how its disks are called.
PREFIXES = {"virtio": "vd", "scsi": "sd", "sata": "hd"}
FORMATS = ("qcow2", "raw")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}")
#: Names of devices and block nodes that every machine has.
_RESERVED = re.compile(
    r"cdrom|video|scsi\d+|port\d+|nic-.*|serial\d*|agent\d*|channels|pci.*|ide.*"
)


class Images:
    """Files made in one operation. Leaving the context after an error removes them again."""

    def __init__(self, folder: Path, journal: Path | None = None) -> None:
        """``folder``: where disks go for which nobody named a place. ``journal``: a file in which
        those elsewhere are written down before they are made, so that others can remove them when
        we are killed."""
        self._folder = folder
        self._journal = journal
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            return
        for path in self._made:
            try:
                path.unlink(missing_ok=True)
            except OSError as failure:
                error.add_note(f"{path} was left behind: {failure.strerror}")

    def place(self, spec: DiskSpec, name: str) -> DiskRecord:
        """The disk that ``spec`` describes, made unless it is there.

        Raises InvalidInput, NotFound, AlreadyExists, LimitExceeded when there is no room.
        """
        if spec.pool:
            raise InvalidInput(
                f"disk '{name}' asks for the pool '{spec.pool}', and there are none here",
                hint="Name a path, or neither: it then lies with its instance.",
            )
        if spec.path and not spec.path.startswith("/"):
            raise InvalidInput(
                f"disk '{name}': {spec.path!r} is no absolute path", hint="Begin it with a slash."
            )
        path = Path(spec.path) if spec.path else self._folder / f"{name}.{spec.format}"
        with native(f"use {path} as disk '{name}'"):
            there = path.exists()
            return self._existing(spec, name, path) if there else self._new(spec, name, path)

    def overlay(self, path: Path, base: Path, format: str) -> None:
        """An image that holds what is written over ``base`` from now on."""
        self._create(path, "qcow2", None, (str(base), format))

    def _existing(self, spec: DiskSpec, name: str, path: Path) -> DiskRecord:
        if spec.base or not spec.path:
            raise AlreadyExists(
                f"{path} exists and would have to be made",
                hint="Leave base out to use the disk as it is, or choose another path.",
            )
        device = stat.S_ISBLK(path.stat().st_mode)
        found = inspected(str(path), None)
        # A guest can make a raw disk look like another format: raw is believed.
        format = "raw" if device else spec.format
        if format not in {found.format, "raw"}:
            raise InvalidInput(
                f"{path} is {found.format}, not {format}", hint=f"format='{found.format}'"
            )
        size = inspected(str(path), format).size
        return DiskRecord(name=name, path=str(path), format=format, size=size, bus=spec.bus)

    def _new(self, spec: DiskSpec, name: str, path: Path) -> DiskRecord:
        if spec.format not in FORMATS:
            raise InvalidInput(
                f"disk '{name}' asks for the format '{spec.format}'",
                hint=f"New disks are {' or '.join(FORMATS)}.",
            )
        size, backing = spec.size, None
        if spec.base:
            if spec.format != "qcow2":
                raise InvalidInput(
                    f"disk '{name}' has a base, so its format has to be qcow2",
                    hint="format='qcow2', or no base.",
                )
            base = inspected(spec.base, None)
            if size and size < base.size:
                raise InvalidInput(
                    f"disk '{name}' is smaller than its base {spec.base}",
                    hint=f"It needs at least {base.size} bytes.",
                )
            size, backing = size or base.size, (str(base.path), base.format)
        if not size:
            raise InvalidInput(f"disk '{name}' does not exist and has no size", hint="size=…")
        if not path.parent.is_dir():
            raise NotFound(
                f"there is no folder {path.parent} for disk '{name}'", hint="Make it first."
            )
        self._create(path, spec.format, size, backing)
        whole = inspected(str(path), spec.format).size
        return DiskRecord(
            name=name,
            path=str(path),
            format=spec.format,
            size=whole,
            bus=spec.bus,
            base=backing[0] if backing else "",
        )

    def _create(
        self, path: Path, format: str, size: int | None, backing: tuple[str, str] | None
    ) -> None:
        with native(f"make {path}"):
            if self._journal is not None and path.parent != self._folder and not path.exists():
                with open(self._journal, "ab") as journal:
                    journal.write(os.fsencode(path) + b"\0")
            try:  # ours from here on: qemu-img would write over what it finds
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            except FileExistsError as error:
                raise AlreadyExists(
                    f"{path} exists already", hint="Choose another path."
                ) from error
        self._made.append(path)
        command = ["qemu-img", "create", "-q", "-f", format]
        if backing is not None:
            command += ["-b", backing[0], "-F", backing[1]]
        command += [str(path), *([str(size)] if size is not None else [])]
        done = qemutools.run(command, subject=str(path))
        if done.status != 0:
            raise from_words(done.complaint, f"make {path}")


def names_of(disks: Sequence[DiskSpec], taken: Collection[str] = ()) -> list[str]:
    """Names of disks, those that are given as they are. Raises InvalidInput, AlreadyExists."""
    names: list[str] = []
    given = [disk.name for disk in disks if disk.name]
    for disk in disks:
        if disk.bus not in PREFIXES:
            raise InvalidInput(
                f"there is no bus '{disk.bus}'", hint=f"There are: {', '.join(PREFIXES)}."
            )
        name = disk.name or _free(PREFIXES[disk.bus], {*names, *given, *taken})
        if _NAME.fullmatch(name) is None or _RESERVED.fullmatch(name):
            raise InvalidInput(
                f"'{name}' cannot be the name of a disk",
                hint="vda, vdb, sda … can: a letter, then letters, digits, '-', '_'; at most 20.",
            )
        if name in names:
            raise InvalidInput(
                f"more than one disk is called '{name}'",
                hint="Leave names out, or tell them apart.",
            )
        if name in taken:
            raise AlreadyExists(f"there is a disk '{name}' already", hint="Leave the name out.")
        names.append(name)
    return names


def _free(prefix: str, taken: Collection[str]) -> str:
    for letter in "abcdefghijklmnopqrstuvwxyz":
        if prefix + letter not in taken:
            return prefix + letter
    raise InvalidInput(f"there is no name left for another disk {prefix}…", hint="Name it.")
