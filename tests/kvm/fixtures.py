"""Fixtures of the KVM lab: a private libvirtd, a clean place in it, a booted guest.

A folder of tests that wants them names them in its ``conftest.py``::

    from tests.kvm.fixtures import guest, lab, libvirtd  # noqa: F401
"""

from __future__ import annotations

import contextlib
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libvirt
import pytest

from tests.components import require, require_root
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import DiskSpec, Guest, domain_xml
from tests.kvm.system import System

#: Seconds that what a test has stopped may take to be gone.
_GONE_SECONDS = 5


@dataclass(frozen=True)
class Lab:
    """A test's place in a private libvirtd. What it leaves behind there is removed, or reported."""

    libvirtd: Libvirtd
    connection: libvirt.virConnect
    #: Empty, and QEMU may write there too; the path is short enough for sockets.
    folder: Path

    @property
    def url(self) -> str:
        """The daemon, as HyperSDK's drivers name it."""
        return self.libvirtd.url

    @property
    def system(self) -> System:
        """What a guest boots; made when it is first asked for."""
        return System.installed(self.libvirtd.boot)

    def image(
        self,
        name: str,
        size: str = "64M",
        *,
        format: str = "qcow2",
        backing: DiskSpec | None = None,
    ) -> Path:
        """Make an image file in the folder; with a backing image its size is that one's."""
        path = self.folder / name
        origin = ["-F", backing.format, "-b", str(backing.path)] if backing else []
        command = ["qemu-img", "create", "-q", "-f", format, *origin, str(path)]
        subprocess.run(command if backing else [*command, size], check=True)
        return path


@contextlib.contextmanager
def clean_lab(libvirtd: Libvirtd, patience: float = _GONE_SECONDS) -> Iterator[Lab]:
    """What the fixture `lab` does. One at a time in a daemon."""
    folder = libvirtd.images / "t"
    folder.mkdir()
    folder.chmod(0o777)
    before = _contents(libvirtd)
    connection = libvirtd.open()
    try:
        yield Lab(libvirtd, connection, folder)
        _remove_all(libvirtd)
        deadline = time.monotonic() + patience
        while (left := _contents(libvirtd) - before) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left, "the test left behind:\n" + "\n".join(sorted(left))
    finally:
        connection.close()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[Libvirtd]:
    """A private libvirtd, one for each worker."""
    require_root()
    require("libvirtd", "virtlogd", "qemu-system-x86_64", "qemu-img", "unshare")
    with Libvirtd() as daemon:
        yield daemon


@pytest.fixture
def lab(libvirtd: Libvirtd) -> Iterator[Lab]:
    """A clean folder and a connection.

    Afterwards all domains, networks, pools and files of the test are removed. Fails the test when
    a process, a socket or a file of libvirt's stays behind all the same.
    """
    with clean_lab(libvirtd) as place:
        yield place


@pytest.fixture
def guest(lab: Lab) -> Iterator[Guest]:
    """A booted guest ``guest`` with an empty disk of 64 MiB, ``guest.qcow2``, as vda."""
    disk = DiskSpec(lab.image("guest.qcow2"))
    running = Guest.start(lab.connection, domain_xml("guest", [disk], system=lab.system))
    yield running
    running.close()


def _remove_all(libvirtd: Libvirtd) -> None:
    # The test may have killed the daemon, or broken the lab's connection.
    libvirtd.restart()
    connection = libvirtd.open()
    try:
        for domain in connection.listAllDomains():
            _remove_domain(domain)
        for network in connection.listAllNetworks():
            _remove(network)
        for pool in connection.listAllStoragePools():
            _remove(pool)
        for secret in connection.listAllSecrets():
            secret.undefine()
    finally:
        connection.close()


def _remove_domain(domain: libvirt.virDomain) -> None:
    if domain.isActive():
        # One that the test told to stop may end first.
        with contextlib.suppress(libvirt.libvirtError):
            domain.destroy()
    # A transient one is gone by now.
    with contextlib.suppress(libvirt.libvirtError):
        domain.undefineFlags(
            libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
            | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
        )


def _remove(resource: libvirt.virNetwork | libvirt.virStoragePool) -> None:
    persistent = resource.isPersistent()
    if resource.isActive():
        resource.destroy()
    if persistent:
        resource.undefine()


def _contents(libvirtd: Libvirtd) -> set[str]:
    """What there is of a daemon: processes and files, without those that are expected to stay."""
    found = {
        f"process {pid}: {command}"
        for pid, command in libvirtd.processes().items()
        if not command.startswith("libvirtd ")  # a test may restart it
    }
    for path in libvirtd.folder.rglob("*"):
        place = path.relative_to(libvirtd.folder)
        if place.parts[0] in {"log", "cache", "boot", "swtpm"}:
            continue
        # Folders are libvirt's own and made when they are first needed.
        if path.is_dir():
            continue
        # In the test's own folder only sockets matter: somebody forgot to stop listening.
        if place.parts[:2] == ("images", "t") and not stat.S_ISSOCK(path.lstat().st_mode):
            continue
        found.add(str(place))
    return found
