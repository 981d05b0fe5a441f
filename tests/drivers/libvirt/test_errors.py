"""Each of libvirt's errors is provoked for real."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt
import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.errors import translated
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    HypervisorBusy,
    HypervisorError,
    InstanceNotFound,
    InvalidState,
    LimitExceeded,
    MissingRequirement,
    NotFound,
    NotSupported,
)
from hypersdk.model.specs import CloudInit, DiskSpec, InstanceSpec
from hypersdk.model.units import GIB
from tests.kvm import domains
from tests.kvm.domains import domain_xml
from tests.kvm.fixtures import Lab


@pytest.fixture
def hypervisor(lab: Lab) -> Iterator[LibvirtHypervisor]:
    connected = LibvirtHypervisor(lab.libvirtd.uri)
    yield connected
    connected.close()


@contextmanager
def small_folder(lab: Lab, size: str) -> Iterator[Path]:
    """A filesystem that is soon full, where the daemon sees it."""
    folder = lab.folder / "small"
    folder.mkdir()
    (pid,) = (p for p, words in lab.libvirtd.processes().items() if words.startswith("libvirtd"))
    inside = ["nsenter", "--mount", "--target", str(pid)]
    options = f"size={size},mode=777"
    subprocess.run([*inside, "mount", "-t", "tmpfs", "-o", options, "lab", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*inside, "umount", folder], check=True)
        folder.rmdir()


def test_a_full_disk_while_creating(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    """The second disk has no room: the first goes again, and the pool over the folder as well."""
    with small_folder(lab, "300k") as folder:
        disks = [DiskSpec(path=f"{folder}/{name}.qcow2", size=GIB) for name in "ab"]
        with pytest.raises(LimitExceeded, match="No space left") as caught:
            hypervisor.lifecycle.create(
                InstanceSpec(name="web", disks=tuple(disks), acceleration="tcg")
            )
        assert "room" in caught.value.hint
        hypervisor.lifecycle.create(InstanceSpec(name="web", disks=(disks[0],), acceleration="tcg"))
        hypervisor.lifecycle.delete("web", disks=True)
        assert list(hypervisor.inventory.instances()) == []
        assert lab.connection.listAllStoragePools() == []


def test_a_full_disk_for_first_boot_settings(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    with small_folder(lab, "200k") as folder:
        disk = DiskSpec(path=f"{folder}/a.qcow2", size=GIB)
        spec = InstanceSpec(
            name="web", disks=(disk,), acceleration="tcg", cloud_init=CloudInit(user="me")
        )
        with pytest.raises(LimitExceeded, match="could not be written whole"):
            hypervisor.lifecycle.create(spec)
        assert list(hypervisor.inventory.instances()) == []
        assert lab.connection.listAllStoragePools() == []


def test_more_memory_than_can_be(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    hypervisor.lifecycle.create(InstanceSpec(name="web", memory=1 << 50, acceleration="tcg"))
    with pytest.raises(LimitExceeded, match="Cannot allocate memory"):
        hypervisor.lifecycle.start("web")
    assert hypervisor.inventory.instance("web").state.value == "stopped"
    hypervisor.lifecycle.delete("web")


def test_a_volume_that_is_too_large(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    assert hypervisor.storage is not None
    hypervisor.storage.create_pool("p", str(lab.folder))
    with pytest.raises(LimitExceeded):
        hypervisor.storage.create_volume("p", "huge.raw", 1 << 62, "raw")
    assert list(hypervisor.storage.volumes("p")) == []


def test_an_emulator_that_is_gone(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    emulator = lab.folder / "emulator"
    emulator.write_text('#!/bin/sh\nexec qemu-system-x86_64 "$@"\n')
    emulator.chmod(0o755)
    xml = domain_xml("web").replace("<devices>", f"<devices><emulator>{emulator}</emulator>", 1)
    lab.connection.defineXML(xml)
    emulator.unlink()
    with pytest.raises(MissingRequirement, match="No such file") as caught:
        hypervisor.lifecycle.start("web")
    assert "Install QEMU" in caught.value.hint
    assert hypervisor.inventory.instance("web").state.value == "stopped"


def test_a_disk_that_somebody_has_open(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    image = lab.image("a.qcow2", "1M")
    for name in ("one", "two"):
        lab.connection.defineXML(domain_xml(name, [domains.DiskSpec(image)]))
    hypervisor.lifecycle.start("one")
    with pytest.raises(InvalidState, match="lock"):
        hypervisor.lifecycle.start("two")


def test_removed_behind_our_back(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    """Between two calls, and between the looks within one."""
    domain = lab.connection.defineXML(domain_xml("web"))
    known = hypervisor.inventory.instance("web")
    domain.undefine()
    for call in (
        lambda: hypervisor.inventory.instance(known.id),
        lambda: hypervisor.lifecycle.start("web"),
        lambda: hypervisor.lifecycle.delete(known.id),
    ):
        with pytest.raises(InstanceNotFound) as caught:
            call()
        assert "virsh list --all" in caught.value.hint
    with pytest.raises(libvirt.libvirtError) as native:
        domain.XMLDesc()
    assert isinstance(translated(native.value, "look"), InstanceNotFound)


def test_a_machine_that_hangs(lab: Lab, hypervisor: LibvirtHypervisor) -> None:
    """QEMU does not answer: calls about it are refused as busy after libvirt's 30 s, nothing is
    begun, and listings do not wait for it."""
    domain = lab.connection.createXML(domain_xml("web"))
    other = lab.libvirtd.open()
    pid = lab.libvirtd.qemu_pid("web")
    os.kill(pid, signal.SIGSTOP)
    try:
        waiting = threading.Thread(target=other.lookupByName("web").suspend)
        waiting.start()
        deadline = time.monotonic() + 10
        while not _job_is_held(domain):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        begun = time.monotonic()
        assert [found.name for found in hypervisor.inventory.instances()] == ["web"]
        assert hypervisor.inventory.instance("web").state.value == "running"
        assert time.monotonic() - begun < 5
        with pytest.raises(HypervisorBusy, match="state change lock") as caught:
            hypervisor.lifecycle.reset("web")
        assert caught.value.retryable
        assert 25 < time.monotonic() - begun < 45
    finally:
        os.kill(pid, signal.SIGCONT)
        waiting.join()
        other.close()
    assert hypervisor.inventory.instance("web").state.value == "paused"


def _job_is_held(domain: libvirt.virDomain) -> bool:
    """QEMU owes somebody an answer. Whoever asked now would wait for it without end."""
    return bool(domain.controlInfo()[0] == libvirt.VIR_DOMAIN_CONTROL_OCCUPIED)


def raised(call: object) -> HyperSDKError:
    assert callable(call)
    with pytest.raises(libvirt.libvirtError) as caught:
        call()
    return translated(caught.value, "do it")


def test_what_libvirt_says_is_ours(lab: Lab) -> None:
    connection = lab.connection
    domain = connection.defineXML(domain_xml("web"))
    pool = f"<pool type='dir'><name>p</name><target><path>{lab.folder}</path></target></pool>"
    connection.storagePoolDefineXML(pool)
    test = libvirt.open("test:///default")
    for kind, call in (
        (InstanceNotFound, lambda: connection.lookupByName("nobody")),
        (NotFound, lambda: connection.networkLookupByName("nowhere")),
        (NotFound, lambda: connection.storagePoolLookupByName("nowhere")),
        (NotFound, lambda: domain.snapshotLookupByName("none")),
        (NotFound, lambda: domain.checkpointLookupByName("none")),
        (InvalidState, domain.suspend),
        (InvalidState, lambda: connection.storagePoolLookupByName("p").listAllVolumes()),
        (AlreadyExists, lambda: connection.storagePoolDefineXML(pool.replace("/t<", "/u<"))),
        (NotSupported, lambda: test.getMemoryStats(-1)),
        (NotSupported, test.getDomainCapabilities),
        (MissingRequirement, lambda: connection.getDomainCapabilities(None, "alpha")),
        (HypervisorError, lambda: connection.defineXML("<domain>")),
    ):
        error = raised(call)
        assert type(error) is kind, error
        assert error.message.startswith("cannot do it: ")
        assert error.hint
    test.close()
