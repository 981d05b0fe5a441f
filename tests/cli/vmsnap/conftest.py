"""Running vmsnap in this process on domains of a private libvirtd."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import libvirt
import pytest

from hypersdk.cli.terminal import Terminal
from hypersdk.cli.vmsnap.main import run
from hypersdk.cli.vmsnap.places import local_time
from tests.cli.conftest import Result, Stream
from tests.docs.schemas import validator
from tests.kvm.domains import DiskSpec, domain_xml, qemu_io
from tests.kvm.fixtures import Lab, lab, libvirtd  # noqa: F401

#: Where periods are told apart; not where the machine that runs the tests is.
ZONE = timezone(timedelta(hours=9))


def day(text: str) -> datetime:
    """``2026-11-20``, at noon."""
    return datetime.fromisoformat(text).replace(hour=12, tzinfo=ZONE)


@dataclass(frozen=True)
class Snap:
    """``snap("--backup", "--domains", "web")`` → Result. Documents are compared with schemas."""

    uri: str
    output: Path
    environment: dict[str, str]

    def __call__(self, *arguments: object, expect: int = 0, now: str = "") -> Result:
        words = ["--connect", self.uri, *map(str, arguments)]
        out, err = Stream(), Stream()
        terminal = Terminal(Stream(), out, err, self.environment)
        status = run(words, terminal, (lambda: day(now)) if now else local_time)
        result = Result(status, out.getvalue(), err.getvalue())
        assert status == expect, result
        commands = ["backup", "scrub", "restore", "verify"]
        command = next((name for name in commands if f"--{name}" in words), "status")
        if "--json" in words and (command != "status" or "--machine" in words):
            validator(f"vmsnap-{command}.json").validate(result.json)
            assert command == "status" or ("error" in result.json) == (status != 0)
        return result

    def backup(self, domains: str, *arguments: object, expect: int = 0, now: str = "") -> Result:
        """Into ``output``, as JSON."""
        where = ("--backup", "--domains", domains, "--output", self.output, "--json", "--quiet")
        return self(*where, *arguments, expect=expect, now=now)


@pytest.fixture
def snap(lab: Lab, tmp_path: Path) -> Snap:  # noqa: F811 - pytest's way
    locks = tmp_path / "tmp"
    locks.mkdir()
    environment = {**os.environ, "TMPDIR": str(locks)}
    return Snap(lab.libvirtd.uri, tmp_path / "out", environment)


@dataclass(frozen=True)
class Domain:
    """One without a system, paused unless it is off."""

    native: libvirt.virDomain
    image: Path

    def write(self, *commands: str, disk: str = "vda") -> None:
        """As the guest would: ``write -P 0x41 0 1M``."""
        qemu_io(self.native, disk, *commands)

    @property
    def checkpoints(self) -> list[str]:
        oldest_first = libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL  # in no order without
        return [each.getName() for each in self.native.listAllCheckpoints(oldest_first)]


@dataclass(frozen=True)
class Domains:
    """``domains("web")`` makes one with a disk of 64 MiB that holds a mebibyte of data."""

    lab: Lab

    def __call__(
        self, name: str, *, running: bool = True, raw: bool = False, more: Sequence[DiskSpec] = ()
    ) -> Domain:
        image = self.lab.image(f"{name}.img", format="raw" if raw else "qcow2")
        disk = DiskSpec(image, format="raw" if raw else "qcow2")
        native = self.lab.connection.defineXML(
            domain_xml(name, [disk, *more], agent=False, graphics=False, memory_mib=32)
        )
        native.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        made = Domain(native, image)
        made.write("write -P 0x41 0 1M")
        if not running:
            native.destroy()
        return made


@pytest.fixture
def domains(lab: Lab) -> Domains:  # noqa: F811 - pytest's way
    return Domains(lab)
