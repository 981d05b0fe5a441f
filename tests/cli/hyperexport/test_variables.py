"""UEFI variables come along in packages, and go where a firmware can read them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from hypersdk import Hypervisor, MockHypervisor, connect, load_spec
from hypersdk.flows.importing.variables import TakesVariables
from tests.cli.hyperexport.conftest import Export
from tests.components import missing
from tests.kvm.fixtures import Lab, libvirtd
from tests.kvm.fixtures import lab as kvm
from tests.vsphere.fixtures import vsphere_lab
from tests.vsphere.lab import PASSWORD, VsphereLab

__all__ = ["kvm", "libvirtd", "vsphere_lab"]

MIB = 1 << 20
#: Template of the variables of the firmware that libvirt chooses.
VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
NO_CARD = ("--map-network", "VM Network=-")


def nvram_of(kvm: Lab, name: str) -> Path | None:
    """Where a domain has its variables; None before it was started without any."""
    xml = ET.fromstring(kvm.connection.lookupByName(name).XMLDesc(0))
    path = xml.findtext("os/nvram")
    return Path(path) if path else None


@pytest.fixture
def libvirt(kvm: Lab) -> Iterator[Hypervisor]:
    """With a stopped UEFI machine ``uefi`` whose firmware noted something."""
    if not VARIABLES.exists():
        missing(f"there is no {VARIABLES}: install ovmf")
    kvm.folder.chmod(0o777)
    hypervisor = connect(kvm.url)
    assert hypervisor.lifecycle is not None
    disks = [{"size": "1MiB", "path": str(kvm.folder / "uefi.qcow2")}]
    spec = {"name": "uefi", "memory": "64MiB", "firmware": "uefi", "disks": disks}
    hypervisor.lifecycle.create(load_spec(spec))
    content = bytearray(VARIABLES.read_bytes())
    content[-64:] = b"a boot entry, made by the guest ".ljust(64, b".")
    taker: object = hypervisor.provisioning
    assert isinstance(taker, TakesVariables)
    assert taker.take_variables("uefi", bytes(content)) == ""
    yield hypervisor
    names = [each.name for each in hypervisor.inventory.instances()] if hypervisor.inventory else []
    for name in names:
        hypervisor.lifecycle.stop(name, force=True)
        hypervisor.lifecycle.delete(name, disks=True)
    hypervisor.close()


@pytest.mark.parametrize("format", ["ovf", "ova", "qcow2"])
def test_from_libvirt_to_libvirt(
    export: Export, libvirt: Hypervisor, kvm: Lab, work: Path, format: str
) -> None:
    libvirt_export = Export(kvm.url)
    libvirt_export("uefi", "--format", format, "--output", "out", "--verify", "--quiet")
    storage = kvm.folder / "new"
    storage.mkdir()
    line = ("import", "out", "--name", "again", "--storage", storage, *NO_CARD, "--json")
    document = libvirt_export(*line).json
    assert document["warnings"] == []
    old, new = nvram_of(kvm, "uefi"), nvram_of(kvm, "again")
    assert old is not None
    assert new is not None
    assert new != old
    assert new.parent == storage
    assert new.read_bytes() == old.read_bytes()
    assert libvirt.lifecycle is not None
    libvirt.lifecycle.start("again", paused=True)  # its firmware is one that fits them
    libvirt.lifecycle.stop("again", force=True)
    libvirt.lifecycle.delete("again", disks=True)
    assert list(storage.iterdir()) == []
    storage.rmdir()


@pytest.fixture
def vsphere(vsphere_lab: VsphereLab, monkeypatch: pytest.MonkeyPatch) -> Export:
    monkeypatch.setenv("GOVC_PASSWORD", PASSWORD)
    return Export(vsphere_lab.url)


@pytest.fixture
def machine(vsphere_lab: VsphereLab) -> Iterator[str]:
    """A stopped UEFI machine."""
    name = f"efi-{uuid4().hex[:8]}"
    vsphere_lab.add_vm(name=name, firmware="efi", disks=[{"size": MIB}])
    yield name
    vsphere_lab.remove_vm(name)


@pytest.mark.parametrize(
    ("format", "options"),
    [("ovf", ()), ("ova", ()), ("ovf", ("--vcpus", "2"))],
    ids=["ovf", "ova", "another machine"],
)
def test_from_vsphere_to_vsphere(
    vsphere: Export,
    vsphere_lab: VsphereLab,
    machine: str,
    work: Path,
    format: str,
    options: tuple[str, ...],
) -> None:
    vsphere(machine, "--format", format, "--output", "out", "--verify", "--quiet")
    back = f"{machine}-back"
    document = vsphere("import", "out", "--name", back, *options, "--json").json
    try:
        assert document["warnings"] == []
        for name, folder in ((machine, "one"), (back, "two")):
            vsphere(name, "--output", folder, "--quiet")
        one = (work / "one" / f"{machine}.nvram").read_bytes()
        assert one.startswith(b"MRVN")
        assert (work / "two" / f"{back}.nvram").read_bytes() == one
    finally:
        vsphere_lab.remove_vm(back)


def test_those_of_another_firmware_are_left_out_with_a_word(
    vsphere: Export,
    vsphere_lab: VsphereLab,
    machine: str,
    export: Export,
    libvirt: Hypervisor,
    kvm: Lab,
    work: Path,
) -> None:
    vsphere(machine, "--format", "ova", "--output", "out", "--quiet")
    storage = kvm.folder / "other"
    storage.mkdir()
    line = ("import", "out", "--name", "other", *NO_CARD, "--json")
    (said,) = Export(kvm.url)(*line, "--storage", storage).json["warnings"]
    assert "they are VMware's, which QEMU's firmware does not read" in said
    assert nvram_of(kvm, "other") is None

    Export(kvm.url)("uefi", "--format", "ova", "--output", "from-libvirt", "--quiet")
    name = f"{machine}-other"
    try:
        (said,) = vsphere("import", "from-libvirt", "--name", name, "--json").json["warnings"]
        assert "they are QEMU's, which no other firmware reads" in said
    finally:
        vsphere_lab.remove_vm(name)


def test_who_has_no_place_for_them_says_so(
    vsphere: Export, machine: str, export: Export, lab: MockHypervisor, work: Path
) -> None:
    vsphere(machine, "--output", "out", "--quiet")
    (said,) = export("import", "out", "--name", "one", *NO_CARD, "--json").json["warnings"]
    assert "has no place for them" in said
    line = ("import", "out", "--name", "two", "--firmware", "bios", *NO_CARD, "--json")
    (said,) = export(*line).json["warnings"]
    assert "have no use with a BIOS" in said


def test_damaged_ones_are_refused(
    export: Export, libvirt: Hypervisor, kvm: Lab, work: Path
) -> None:
    here = Export(kvm.url)
    here("uefi", "--output", "out", "--quiet")
    file = work / "out" / "uefi.nvram"
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    result = here("import", "out", "--name", "broken", "--storage", kvm.folder, expect=9)
    assert "uefi.nvram" in result.err
