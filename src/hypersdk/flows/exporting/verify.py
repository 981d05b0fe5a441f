"""Read an export again: digests, the package against its own manifest and descriptor, the inside
of each image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hypersdk.artifacts.checksums import LIST_NAME, digest_of, read_list
from hypersdk.artifacts.verifying import verify_files
from hypersdk.datapath import imageinspect
from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.observed import Observed
from hypersdk.datapath.pipeline import in_order
from hypersdk.datapath.streamvmdk import Stream, StreamVmdkSource
from hypersdk.flows.exporting.results import VerifiedExport
from hypersdk.model.errors import Damaged, InvalidInput, NotFound
from hypersdk.model.progress import Reporter, silent
from hypersdk.observe.progress import Counters, ProgressTicker
from hypersdk.ovf import manifest
from hypersdk.ovf.formats import format_of
from hypersdk.ovf.machine import OvfDisk, OvfMachine
from hypersdk.ovf.reading import MOST, read_ovf
from hypersdk.ovf.unpacking import Member, read_ova

#: Endings of files that hide what is in them: only their checksums can be compared.
_HIDDEN = (".age", ".gz", ".zst", ".lz4", ".enc")
#: Ending → format of the image.
_IMAGES = {".qcow2": "qcow2", ".vhdx": "vhdx", ".vdi": "vdi", ".vhd": "vpc"}


def verify_export(
    folder: Path, *, reporter: Reporter = silent, cancel: CancelToken | None = None
) -> VerifiedExport:
    """Everything that can be checked of the files in ``folder``.

    Raises NotFound when it holds no export, Damaged for a file that is missing or not what its
    checksum, manifest or descriptor says, ImageRefused for a damaged image.
    """
    folder = Path(folder)
    with (cancel or CancelToken()).scope():
        names = _files(folder)
        checks = []
        if (folder / LIST_NAME).is_file():
            checks.append(verify_checksums(folder, reporter, cancel))
        checks += verify_package(folder, names, reporter)
        if not checks:
            raise NotFound(
                f"{folder} holds no export",
                hint="An export has a checksums.txt, a .mf, or an .ova.",
            )
    sizes = {name: (folder / name).stat().st_size for name in names}
    return VerifiedExport(folder=folder, files=sizes, checks=tuple(checks))


def verify_checksums(
    folder: Path, reporter: Reporter = silent, cancel: CancelToken | None = None
) -> str:
    """All files of ``checksums.txt``. Raises Damaged."""
    checksums = read_list(folder / LIST_NAME)
    verify_files(folder, checksums, reporter=reporter, cancel=cancel)
    algorithms = ", ".join(sorted({each.algorithm for each in checksums}))
    return f"files that are what {LIST_NAME} says ({algorithms}): {len(checksums)}"


def verify_package(folder: Path, names: Iterable[str], reporter: Reporter = silent) -> list[str]:
    """What the files say of each other and of themselves. Raises Damaged, ImageRefused."""
    names = list(names)
    checks: list[str] = []
    machines: dict[str, OvfDisk] = {}
    for name in names:
        path = folder / name
        if name.endswith(".mf"):
            checks.append(_manifest(path))
        elif name.endswith(".ovf"):
            machine = read_ovf(_short(path))
            machines |= _described(folder, name, machine)
            checks.append(f"disks that {name} describes and that are there: {len(machine.disks)}")
    for name in names:
        path = folder / name
        if name.endswith(".ova"):
            checks += _archive(path, reporter)
        elif not name.endswith(_HIDDEN):
            checks += _image(path, machines.get(name), reporter)
    return checks


def _files(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise NotFound(f"{folder} is no folder", hint="Give the folder of an export.")
    return sorted(
        each.name for each in folder.iterdir() if each.is_file() and not each.name.startswith(".")
    )


def _short(path: Path) -> bytes:
    if path.stat().st_size > MOST:
        raise InvalidInput(f"{path} is too large for a descriptor")
    return path.read_bytes()


def _manifest(path: Path) -> str:
    listed = manifest.read(_short(path).decode("utf-8", "replace"))
    count = 0
    for name, (algorithm, expected) in listed.items():
        file = path.parent / name
        if _hidden(path.parent, name):
            continue
        if "/" in name or not file.is_file():
            raise Damaged(f"{path.name} names {name}, which is not there")
        manifest.compare(name, algorithm, expected, _digest(file, algorithm))
        count += 1
    return f"files that are what {path.name} says: {count}"


def _hidden(folder: Path, name: str) -> bool:
    """The file is there packed or sealed, and only its checksum can be compared."""
    return not (folder / name).exists() and any(
        each.name.startswith(name) and each.name.endswith(_HIDDEN) for each in folder.iterdir()
    )


def _digest(path: Path, algorithm: str) -> str:
    if algorithm != "sha1":
        return digest_of(path, algorithm)
    return manifest.sha1_of(path)


def _described(folder: Path, name: str, machine: OvfMachine) -> dict[str, OvfDisk]:
    found = {}
    for disk in machine.disks:
        if not disk.file:
            continue
        path = folder / disk.file
        if not path.is_file():
            if _hidden(folder, disk.file):
                continue
            raise Damaged(f"{name} refers to {disk.file}, which is not there")
        if disk.file_size and disk.file_size != path.stat().st_size:
            raise Damaged(
                f"{disk.file} has {path.stat().st_size} bytes, {name} says {disk.file_size}"
            )
        found[disk.file] = disk
    return found


def _archive(path: Path, reporter: Reporter) -> Iterator[str]:
    """All members in one pass: digests, descriptor, the grains of each disk."""
    machine: OvfMachine | None = None
    with path.open("rb") as file:
        for member in read_ova(file):
            if member.name.endswith(".ovf"):
                machine = read_ovf(_text(member))
            elif member.name.endswith(".vmdk"):
                disk = _of_file(machine, member.name) if machine else None
                yield _grains(member.content, member.name, disk, reporter)
    yield f"all members of {path.name} are what its manifest says"


def _text(member: Member) -> bytes:
    if member.size > MOST:
        raise InvalidInput(f"{member.name} is too large for a descriptor")
    parts = []
    while data := member.content.read(1 << 20):
        parts.append(data)
    return b"".join(parts)


def _of_file(machine: OvfMachine, name: str) -> OvfDisk | None:
    return next((disk for disk in machine.disks if disk.file == name), None)


def _image(path: Path, disk: OvfDisk | None, reporter: Reporter) -> Iterator[str]:
    if path.suffix == ".vmdk":
        streamed = disk is None or format_of(disk.format) == "stream-vmdk"
        if streamed and _is_stream(path):
            with path.open("rb") as file:
                yield _grains(file, path.name, disk, reporter)
            return
    format = "vmdk" if path.suffix == ".vmdk" else _IMAGES.get(path.suffix, "")
    if format:
        info = imageinspect.inspect(path, format)
        imageinspect.check(info)
        if disk is not None and not disk.capacity <= info.size < disk.capacity + (2 << 20):
            raise Damaged(f"{path.name} holds {info.size} bytes, not {disk.capacity}")
        yield f"the tables of {path.name} are right"


def _is_stream(path: Path) -> bool:
    """A VMDK of the kind that streams, by the flags in its header."""
    with path.open("rb") as file:
        head = file.read(12)
    return len(head) == 12 and head[:4] == b"KDMV" and head[10] & 3 == 3


def _grains(stream: Stream, name: str, disk: OvfDisk | None, reporter: Reporter) -> str:
    """Inflate every grain. Raises ImageRefused, Damaged."""
    source = StreamVmdkSource(stream, name)
    if disk is not None and disk.capacity != source.size:
        raise Damaged(f"{name} holds {source.size} bytes, its descriptor says {disk.capacity}")
    counters = Counters()
    grain = source.header.grain
    count = 0
    with ProgressTicker(f"verify {name}", source.size, counters, reporter):
        watched = Observed(source, counters)
        for _, length in in_order(watched, lambda _, data: len(data), granularity=grain):
            count += -(-length // grain)
    if not source.finished:
        raise Damaged(f"{name} ends without its end marker", hint="It was cut: export it again.")
    return f"grains of {name} that inflate to what they should: {count}"
