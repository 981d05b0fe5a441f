"""The guest that is backed up: a copy of one disk, and a system that runs from memory beside it."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt
import libvirt_qemu

from bench.image import Image, Recipe, build, data_areas
from bench.kvm.contenders import DISK, NAME
from bench.measure import BenchError
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import DiskSpec, Guest, domain_xml
from tests.kvm.system import System

MIB = 1 << 20
GIB = 1 << 30

WRITE_SIZE = 8 << 10
SEED = 20261122

_DEVICE = "/machine/peripheral/virtio-disk0/virtio-backend"
#: Upper ends of the classes that QEMU counts latencies in: 20 µs to 27 s, each 10 % wider.
_CLASSES = [round(20_000 * 1.1**number) for number in range(149)]
#: Overwrites what is there, in a place of its own each time, past the guest's page cache.
_WRITER = (
    "touch /tmp/writing; (while [ -e /tmp/writing ]; do dd if=/dev/urandom of=/dev/{disk} bs=8k"
    " count=1 seek=$(((RANDOM * 32768 + RANDOM) % {places})) oflag=direct conv=notrunc 2>/dev/null"
    " || touch /tmp/failed; done) >/dev/null 2>&1 &"
)


@dataclass(frozen=True, slots=True)
class Origin:
    """The disk that every guest gets a copy of, and what guests write to it."""

    #: qcow2.
    path: Path
    image: Image
    #: Files of `WRITE_SIZE` bytes each: pieces of the image's own content.
    pieces: tuple[Path, ...]
    #: Bytes from the start of the disk that are nearly all data.
    dense: int

    def small_disk(self, path: Path, number: int, content: int) -> Path:
        """A qcow2 disk with ``content`` bytes at its start; another content for each number."""
        raw = path.with_suffix(".raw")
        count, first = content // WRITE_SIZE, number * 977
        with raw.open("wb") as file:
            for index in range(first, first + count):
                file.write(self.pieces[index % len(self.pieces)].read_bytes())
            file.truncate(4 * content)
        subprocess.run(("qemu-img", "convert", "-O", "qcow2", raw, path), check=True)
        raw.unlink()
        return path


def make_origin(folder: Path, recipe: Recipe, pieces: int) -> Origin:
    """Build the disk. The raw image it is made from is removed: memory is short."""
    image = build(folder, recipe)
    path = folder / "origin.qcow2"
    convert = ("qemu-img", "convert", "-f", "raw", "-O", "qcow2", image.path, path)
    subprocess.run(convert, check=True)
    origin = Origin(path, image, _cut(image, folder / "pieces", pieces), _dense(image))
    image.path.unlink()
    return origin


def _cut(image: Image, folder: Path, count: int) -> tuple[Path, ...]:
    """Pieces of the image's data: they compress as it does, and no two are the same place."""
    folder.mkdir()
    folder.chmod(0o755)
    source = random.Random(SEED)  # noqa: S311 - reproducible places, nothing secret
    places = [
        place
        for start, end in data_areas(image.path)
        for place in range(-(-start // WRITE_SIZE) * WRITE_SIZE, end - WRITE_SIZE, WRITE_SIZE)
    ]
    paths = []
    with image.path.open("rb", buffering=0) as disk:
        for number, place in enumerate(source.sample(places, count)):
            disk.seek(place + 512)  # out of step with the chunks that it came from
            paths.append(folder / f"{number:05d}")
            paths[-1].write_bytes(disk.read(WRITE_SIZE))
    return tuple(paths)


def _dense(image: Image) -> int:
    """The first half of the data lies in one run but for a few gaps, as mkfs leaves it."""
    half, seen = image.allocated // 2, 0
    for start, end in data_areas(image.path):
        if seen + end - start >= half:
            return start + half - seen
        seen += end - start
    return image.virtual


class RunningGuest:
    """A domain that runs from its copy of the disk."""

    def __init__(self, guest: Guest, origin: Origin, path: Path) -> None:
        self._guest = guest
        self._origin = origin
        self.path = path

    def scatter(self, seed: int) -> None:
        """`WRITE_SIZE` bytes for every piece, each to a random place of the whole disk."""
        source = random.Random(seed)  # noqa: S311 - reproducible places, nothing secret
        places = self._origin.image.virtual // WRITE_SIZE
        writes = (
            f"write -q -s {piece} {source.randrange(places) * WRITE_SIZE} {WRITE_SIZE}"
            for piece in self._origin.pieces
        )
        self._guest.qemu_io(DISK, *writes, "flush")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The guest writes all the time, one write after another, to the dense part of its disk."""
        places = self._origin.dense // WRITE_SIZE
        self._guest.run(_WRITER.format(disk=DISK, places=places))
        try:
            yield
        finally:
            self._guest.run("rm /tmp/writing; sleep 1", timeout=120)
        if "failed" in self._guest.run("ls /tmp"):
            raise BenchError("a write of the guest failed")

    def count_latencies(self) -> None:
        """Begin to count, from nothing. QEMU counts from a request's arrival to its completion."""
        classes = {"id": _DEVICE, "boundaries-write": _CLASSES}
        self._ask("block-latency-histogram-set", **classes)

    def latencies(self) -> dict[str, float]:
        """Writes since `count_latencies`: how many, and their latencies in milliseconds."""
        devices = self._ask("query-blockstats")
        found = next(each for each in devices if each.get("qdev") == _DEVICE)
        counts = found["stats"]["wr_latency_histogram"]["bins"]
        if sum(counts) < 100:
            raise BenchError(f"the guest wrote only {sum(counts)} times")
        shares = {"p50_ms": 0.5, "p99_ms": 0.99, "p99.9_ms": 0.999, "max_ms": 1.0}
        times = {name: percentile(counts, share) for name, share in shares.items()}
        return {"writes": sum(counts), **times}

    def stop(self) -> None:
        """Pull the plug; the disk stays. May be called twice."""
        if self._guest.domain.isActive():
            self._guest.destroy()

    def forget(self) -> None:
        """Stop it, and remove the domain."""
        self.stop()
        self._guest.domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)

    def _ask(self, command: str, **arguments: object) -> Any:
        call = json.dumps({"execute": command, "arguments": arguments})
        answer = json.loads(libvirt_qemu.qemuMonitorCommand(self._guest.domain, call, 0))
        if "error" in answer:
            raise BenchError(f"{command}: {answer['error']['desc']}")
        return answer["return"]


def percentile(counts: list[int], share: float) -> float:
    """Upper end, in milliseconds, of the class that the percentile falls into."""
    wanted, seen = share * sum(counts), 0
    for count, end in zip(counts, [*_CLASSES, _CLASSES[-1] * 2], strict=True):
        seen += count
        if seen >= wanted:
            return end / 1e6
    raise AssertionError("a share of more than all")


@contextmanager
def running_guest(
    daemon: Libvirtd, connection: libvirt.virConnect, origin: Origin, folder: Path
) -> Iterator[RunningGuest]:
    """A guest on a fresh copy of the disk; gone afterwards, with its disk."""
    path = folder / "disk.qcow2"
    shutil.copyfile(origin.path, path)
    xml = domain_xml(NAME, [DiskSpec(path, DISK)], system=System.installed(daemon.boot))
    guest = RunningGuest(Guest.start(connection, xml), origin, path)
    try:
        yield guest
    finally:
        guest.forget()
        path.unlink()


def same_disks(left: Path, right: Path) -> bool:
    """Whether two images, in use by nobody, hold the same content."""
    command = ("qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", left, right)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode > 1:
        raise BenchError(done.stderr)
    return done.returncode == 0
