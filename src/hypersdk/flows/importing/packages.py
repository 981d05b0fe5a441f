"""A package as a description and its disks, whatever it is: a folder with a descriptor, an archive,
an image alone; sealed, packed or neither.

What is read may be hostile. Names that lead elsewhere and links are refused, images that refer to
other files too, sizes are bounded before anything is made, and every digest that a manifest names
is compared with what was read. An archive is read once, from front to back.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from hypersdk.artifacts.streams import Readable
from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.image import open_image
from hypersdk.datapath.imageinspect import inspect
from hypersdk.datapath.ports import BlockSource
from hypersdk.flows.exporting.side_by_side import side_by_side
from hypersdk.flows.importing import streams, variables
from hypersdk.flows.importing.disksources import (
    driver_for,
    driver_of,
    from_stream,
    is_stream_vmdk,
    streamed,
    unpacked,
)
from hypersdk.flows.importing.options import ImportOptions
from hypersdk.model.errors import Damaged, ImageRefused, InvalidInput, NotFound
from hypersdk.ovf import manifest
from hypersdk.ovf.machine import OvfDisk, OvfMachine
from hypersdk.ovf.reading import MOST, read_ovf
from hypersdk.ovf.unpacking import Member, read_ova

#: Takes one disk of a package.
Writer = Callable[[OvfDisk, BlockSource, CancelToken], None]

#: Bytes: a disk that claims more than this …
HUGE = 16 << 40
#: … and more than so many times the bytes of its file is not believed.
HUGE_RATIO = 1_000_000
#: Bytes that may come out of a packed archive or image at most: the largest disk of vSphere.
_MOST = 64 << 40
_STEP = 1 << 20
_GIB = 1 << 30
#: Files of an archive that are looked at in search of one.
_MOST_MEMBERS = 4096


class Package(Protocol):
    """What can be imported."""

    #: Some digests are going to be compared.
    verified: bool

    @property
    def machine(self) -> OvfMachine: ...

    @property
    def definition(self) -> bytes:
        """The descriptor as it came; empty for an image alone."""
        ...

    def variables(self) -> bytes:
        """UEFI variables that it brings; empty: none, or they cannot be had before the disks."""
        ...

    def read(self, write: Writer, token: CancelToken, parallel: int) -> None:
        """Give each disk that has a file to ``write``. Returns when everything was read and
        every digest compared. Raises Damaged, ImageRefused."""
        ...


def open_package(path: Path, options: ImportOptions) -> Package:
    """Raises NotFound, InvalidInput, ImageRefused, KeyRequired, Damaged."""
    if path.is_dir():
        path = package_in(path)
    if not path.exists():
        raise NotFound(f"there is no file {path}")
    ending = Path(streams.plain_name(path.name)).suffix.lower()
    package: Package
    if ending == ".ovf":
        package = FolderPackage(path, options)
    elif ending == ".ova":
        package = ArchivePackage(path, options)
    else:
        package = ImagePackage(path, options)
    if not options.trust_sizes:
        _check_sizes(package.machine)
    return package


def package_in(folder: Path) -> Path:
    """The one package in a folder. Raises NotFound, InvalidInput for several."""
    for ending in (".ovf", ".ova"):
        found = [
            each
            for each in sorted(folder.iterdir())
            if streams.plain_name(each.name).lower().endswith(ending)
        ]
        if len(found) > 1:
            raise InvalidInput(
                f"{folder} has several packages: {', '.join(each.name for each in found[:5])}",
                hint="Name one of them.",
            )
        if found:
            return found[0]
    raise NotFound(f"{folder} has no .ovf and no .ova", hint="Name the file to import.")


def _check_sizes(machine: OvfMachine) -> None:
    for disk in machine.disks:
        if disk.capacity > HUGE and disk.capacity > HUGE_RATIO * max(disk.file_size, 1):
            raise ImageRefused(
                f"disk {disk.id} claims {disk.capacity} bytes, its file has {disk.file_size}",
                hint="It may be made to fill storage. Say that sizes are to be trusted if they "
                "are right.",
            )


@dataclass(frozen=True, slots=True)
class _Place:
    """A file of a package that lies in a folder."""

    path: Path

    @classmethod
    def find(cls, folder: Path, name: str) -> _Place:
        """The file, packed and sealed as it may be. Raises NotFound, ImageRefused."""
        for each in sorted(folder.iterdir()):
            if streams.plain_name(each.name) == streams.plain_name(name) and (
                each.name == name or each.name.startswith(f"{name}.")
            ):
                return cls(_regular(each))
        raise NotFound(
            f"{folder} lacks {name}, which the package names", hint="Fetch the whole package."
        )


def _regular(path: Path) -> Path:
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise ImageRefused(
            f"{path} is no plain file",
            hint="Links, folders and devices have no place in a package.",
        )
    return path


class FolderPackage:
    """A descriptor with its files beside it."""

    def __init__(self, descriptor: Path, options: ImportOptions) -> None:
        self._folder = descriptor.absolute().parent
        self._options = options
        self.definition = self._text(_regular(descriptor))
        self.machine = read_ovf(self.definition)
        name = streams.plain_name(descriptor.name)
        self._expected = self._manifest(name)
        self.verified = bool(self._expected)
        if name in self._expected:
            algorithm, digest = self._expected[name]
            manifest.compare(name, algorithm, digest, manifest.of_bytes(algorithm, self.definition))

    def variables(self) -> bytes:
        """Compared with the manifest. Raises NotFound, Damaged."""
        name = variables.file_of(self.machine.files)
        if not name:
            return b""
        place = _Place.find(self._folder, name)
        with streams.opened(place.path, self._options.opening, variables.MOST) as stream:
            hashed = streams.HashedStream(stream, name, self._expected.get(name))
            content = _whole(hashed, name, variables.MOST)
            hashed.finish()
        return content

    def read(self, write: Writer, token: CancelToken, parallel: int) -> None:
        """Disks side by side; then the other files that the manifest names."""

        def work(disk: OvfDisk, token: CancelToken) -> None:
            place = _Place.find(self._folder, disk.file)
            with self._source(place.path, disk) as source:
                write(disk, source, token)

        disks = [disk for disk in self.machine.disks if disk.file]
        side_by_side(disks, work, parallel=parallel, cancel=token)
        of_disks = {disk.file for disk in disks}
        for name in self._expected:
            if name not in of_disks and not name.endswith(".ovf"):
                self._compare(name)

    @contextmanager
    def _source(self, path: Path, disk: OvfDisk) -> Iterator[BlockSource]:
        expected = self._expected.get(disk.file)
        plain = streams.is_plain(path) and disk.compression == "identity"
        if plain and not is_stream_vmdk(path):
            self._compare(disk.file)
            with open_image(path, driver_for(disk)) as source:
                yield source
            return
        with streams.opened(path, self._options.opening, _MOST) as stream:
            hashed = streams.HashedStream(stream, disk.file, expected)
            with streamed(unpacked(hashed, disk), disk) as source:
                yield source
            hashed.finish()

    def _compare(self, name: str) -> None:
        expected = self._expected.get(name)
        if expected is None:
            return
        path = _Place.find(self._folder, name).path
        with streams.opened(path, self._options.opening, _MOST) as stream:
            streams.HashedStream(stream, name, expected).finish()

    def _manifest(self, descriptor: str) -> Mapping[str, tuple[str, str]]:
        name = f"{descriptor.removesuffix('.ovf')}.mf"
        try:
            place = _Place.find(self._folder, name)
        except NotFound:
            return {}
        return manifest.read(self._text(place.path).decode("utf-8", "replace"))

    def _text(self, path: Path) -> bytes:
        with streams.opened(path, self._options.opening, MOST) as stream:
            return _whole(stream, path.name)


class ArchivePackage:
    """An OVA."""

    def __init__(self, path: Path, options: ImportOptions) -> None:
        self._path = _regular(path)
        self._options = options
        self.verified = True
        self.definition = self._descriptor()
        self.machine = read_ovf(self.definition)

    def variables(self) -> bytes:
        """Only of an archive that can be searched; `read` compares them with the manifest."""
        name = variables.file_of(self.machine.files)
        if not name or not streams.is_plain(self._path):
            return b""
        try:
            with tarfile.open(self._path, "r:") as archive:
                for member in islice(archive, _MOST_MEMBERS):
                    if member.name == name and member.isreg() and member.size <= variables.MOST:
                        file = archive.extractfile(member)
                        return file.read() if file is not None else b""
        except tarfile.TarError:  # `read` says what is wrong with it
            return b""
        return b""

    def read(self, write: Writer, token: CancelToken, parallel: int) -> None:  # noqa: ARG002
        """Disks as they come, one after another."""
        wanted: dict[str, list[OvfDisk]] = {}
        for disk in self.machine.disks:
            if disk.file:
                wanted.setdefault(disk.file, []).append(disk)
        with self._members() as members:
            for member in members:
                token.check()
                if (
                    member.name.endswith(".ovf")
                    and _whole(member.content, member.name) != self.definition
                ):
                    raise Damaged(f"{self._path} changed while it was read")
                for disk in wanted.pop(member.name, ())[:1]:
                    with streamed(unpacked(member.content, disk), disk) as source:
                        write(disk, source, token)
        if wanted:
            raise Damaged(
                f"{self._path} lacks {next(iter(wanted))}, which its descriptor names",
                hint="Fetch the whole archive.",
            )

    def _descriptor(self) -> bytes:
        """It comes first, says the standard; archives in another order are searched for it."""
        with self._members() as members:
            for member in members:
                if member.name.endswith(".ovf"):
                    return _whole(member.content, member.name)
        raise ImageRefused(f"{self._path} has no OVF descriptor", hint="It is no OVA.")

    @contextmanager
    def _members(self) -> Iterator[Iterator[Member]]:
        with streams.opened(self._path, self._options.opening, _MOST) as stream:
            yield read_ova(streams.buffered(stream))


class ImagePackage:
    """An image alone, of any format."""

    verified = False
    definition = b""

    def __init__(self, path: Path, options: ImportOptions) -> None:
        self._path = _regular(path)
        self._options = options
        self._plain = streams.is_plain(path)
        name = Path(streams.plain_name(path.name))
        suffix = name.suffix.lower().removeprefix(".")
        self._format = suffix if suffix in {"raw", "vmdk", "qcow2", "vhdx", "vdi", "vhd"} else ""
        capacity = self._capacity()
        disk = OvfDisk(
            id="disk1", file=path.name, capacity=capacity, format="", file_size=path.stat().st_size
        )
        self.machine = OvfMachine(name=name.stem, vcpus=1, memory=_GIB, disks=(disk,))

    def variables(self) -> bytes:
        return b""

    def read(self, write: Writer, token: CancelToken, parallel: int) -> None:  # noqa: ARG002
        (disk,) = self.machine.disks
        with self._source() as source:
            write(disk, source, token)

    def _capacity(self) -> int:
        if self._plain and not is_stream_vmdk(self._path):
            return inspect(self._path, driver_of(self._format)).size
        with self._source() as source:
            return source.size

    @contextmanager
    def _source(self) -> Iterator[BlockSource]:
        if self._plain and not is_stream_vmdk(self._path):
            with open_image(self._path, driver_of(self._format)) as source:
                yield source
            return
        with (
            streams.opened(self._path, self._options.opening, _MOST) as stream,
            from_stream(stream, self._path.name, self._format) as source,
        ):
            yield source


def _whole(stream: Readable, name: str, most: int = MOST) -> bytes:
    parts, size = [], 0
    while data := stream.read(_STEP):
        size += len(data)
        if size > most:
            raise ImageRefused(f"{name} is too large for what it should be")
        parts.append(data)
    return b"".join(parts)
