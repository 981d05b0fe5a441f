"""A domain, a repository, and the check that each restore point is what the disks were."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from xml.etree import ElementTree as ET

import libvirt

import hypersdk
from hypersdk import BackupOptions, Hypervisor, PointDisk, Repository, RestorePoint, connect
from hypersdk.datapath.bitmaps import image_records
from tests.flows.examples import repository_at
from tests.kvm.domains import DiskSpec, domain_xml, qemu_io
from tests.kvm.fixtures import Lab

KIB, MIB = 1 << 10, 1 << 20
#: A checkpoint of another program.
FOREIGN = "<domaincheckpoint><name>{}</name></domaincheckpoint>"
#: What a run calls its folder, and what must not be there after it.
WORKPLACES = "hypersdk-libvirt-*"


@dataclass
class Scene:
    """One lab with a repository. Domains have no OS: QEMU itself writes to their disks."""

    lab: Lab
    hypervisor: Hypervisor
    repository: Repository
    #: Where tests put what they restore.
    out: Path
    #: Where runs have their folders.
    scratch: Path
    #: Domain → disks.
    disks: dict[str, tuple[DiskSpec, ...]] = field(default_factory=dict)
    #: Point → disk → what was on it.
    copies: dict[str, dict[str, Path]] = field(default_factory=dict)

    @classmethod
    def made(cls, lab: Lab, tmp_path: Path, scratch: Path) -> Self:
        out = tmp_path / "out"
        out.mkdir()
        return cls(lab, connect(lab.url), repository_at(tmp_path), out, scratch)

    # Domains

    def define(self, name: str = "web", *disks: DiskSpec, **options: object) -> libvirt.virDomain:
        """A stopped domain; with one empty disk of 64 MiB unless told otherwise. One that is there
        is changed."""
        chosen = disks or (DiskSpec(self.lab.image(f"{name}.qcow2")),)
        known = [each for each in self.lab.connection.listAllDomains() if each.name() == name]
        if known:
            options["uuid"] = known[0].UUIDString()
        self.disks[name] = chosen
        return self.lab.connection.defineXML(domain_xml(name, chosen, **options))  # type: ignore[arg-type]

    def paused(self, name: str = "web", *disks: DiskSpec, **options: object) -> libvirt.virDomain:
        domain = self.define(name, *disks, **options)
        start_paused(domain)
        return domain

    # Backups

    def backup(self, name: str = "web", **options: object) -> RestorePoint:
        """Back up and keep a copy of the disks, then restore and compare."""
        point = hypersdk.backup_instance(
            self.repository,
            self.hypervisor,
            name,
            options=BackupOptions(**options),  # type: ignore[arg-type]
        )
        self.copies[point.id] = self.copy(name, {disk.name for disk in point.disks})
        self.check(point)
        self.assert_idle(name)
        return point

    def copy(self, name: str, chosen: set[str] | None = None) -> dict[str, Path]:
        """The disks as they are now, as raw files."""
        domain = self.lab.connection.lookupByName(name)
        copies = {}
        for disk in self.disks[name]:
            if chosen is not None and disk.target not in chosen:
                continue
            if domain.isActive():
                qemu_io(domain, disk.target, "flush")
            target = self.out / f"{name}-{disk.target}-{time.monotonic_ns()}.raw"
            convert(self.path_of(domain, disk.target), disk.format, target)
            copies[disk.target] = target
        return copies

    def path_of(self, domain: libvirt.virDomain, target: str) -> str:
        """Where a disk is now: a snapshot may have moved it."""
        return source_of(domain, target)

    def check(self, point: RestorePoint) -> None:
        """Restore a point; its disks are what they were when it was made."""
        folder = self.out / f"restored-{time.monotonic_ns()}"
        folder.mkdir()
        hypersdk.restore(self.repository, point, folder)
        for target, copy in self.copies[point.id].items():
            assert_identical(folder / f"{target}.img", copy)
            (folder / f"{target}.img").unlink()

    def check_all(self) -> None:
        """Every point that was made, again."""
        for point in self.repository.points():
            self.check(point)

    # What must not be left

    def assert_idle(self, name: str) -> None:
        """No job, no folder of a run."""
        assert job_of(self.lab.connection.lookupByName(name)) is None
        assert self.workplaces() == []

    def workplaces(self) -> list[Path]:
        return sorted(self.scratch.glob(WORKPLACES))

    def checkpoints(self, name: str = "web") -> list[str]:
        domain = self.lab.connection.lookupByName(name)
        flags = libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL
        return [checkpoint.getName() for checkpoint in domain.listAllCheckpoints(flags)]

    def close(self) -> None:
        self.repository.close()
        self.hypervisor.close()


def start_paused(domain: libvirt.virDomain) -> None:
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)


def source_of(domain: libvirt.virDomain, target: str) -> str:
    """Path of a disk by the domain's XML, or by its pool."""
    for disk in ET.fromstring(domain.XMLDesc()).iterfind("devices/disk"):
        source = disk.find("source")
        if disk.find(f"target[@dev='{target}']") is None or source is None:
            continue
        if path := source.get("file") or source.get("dev"):
            return path
        pool = domain.connect().storagePoolLookupByName(source.get("pool"))
        return str(pool.storageVolLookupByName(source.get("volume")).path())
    raise AssertionError(f"{domain.name()} has no disk {target}")


def job_of(domain: libvirt.virDomain) -> str | None:
    """XML of the backup job that is under way."""
    try:
        return str(domain.backupGetXMLDesc(0))
    except libvirt.libvirtError:
        return None


def convert(path: str | Path, image_format: str, target: Path) -> None:
    command = ["qemu-img", "convert", "-U", "-f", image_format, "-O", "raw", str(path), str(target)]
    subprocess.run(command, check=True)


def assert_identical(one: Path, other: Path) -> None:
    assert one.stat().st_size == other.stat().st_size
    done = subprocess.run(
        ["qemu-img", "compare", "-f", "raw", "-F", "raw", one, other],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{one} and {other}: {done.stdout}{done.stderr}"


def image_io(path: Path | str, *commands: str, format: str = "qcow2") -> None:
    """Write to an image that nobody has open."""
    words = [word for command in commands for word in ("-c", command)]
    subprocess.run(
        ["qemu-io", "-f", format, *words, str(path)], check=True, stdout=subprocess.DEVNULL
    )


def reasons(point: RestorePoint) -> Mapping[str, tuple[bool, str]]:
    """Disk → whether only changes were read, and why."""
    return {disk.name: (disk.incremental, disk.reason) for disk in point.disks}


def vda(point: RestorePoint) -> PointDisk:
    return next(disk for disk in point.disks if disk.name == "vda")


def until(true: Callable[[], object], seconds: float = 15) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


@contextmanager
def backup_process(scene: Scene, moment: str) -> Iterator[subprocess.Popen[str]]:
    """See `killed_backup`."""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.flows.kvm.killed_backup"),
            *(str(scene.out.parent), scene.lab.url, "web", moment),
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def watchers_of(folder: Path) -> list[int]:
    """Process ids of the shells that wait for the end of a run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(folder) in words and b"sh" in words[0].split(b"/"):
            found.append(int(entry.parent.name))
    return found


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True)


def bitmaps(image: Path) -> list[str]:
    return [bitmap.name for bitmap in image_records(image, "qcow2", in_use=True).bitmaps]


def write(domain: libvirt.virDomain, number: int) -> None:
    """64 KiB somewhere else each time."""
    qemu_io(domain, "vda", f"write -P {number} {number}M 64k")
