"""Real machines: QEMU by its own socket, and libvirt as where an export is handed to."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from hypersdk import MockHypervisor, connect, load_spec
from hypersdk.cli.hyperexport.exits import Exit
from hypersdk.model.resources import Network
from tests.cli.hyperexport.conftest import Export
from tests.components import require
from tests.kvm.fixtures import Lab, libvirtd
from tests.kvm.fixtures import lab as kvm

__all__ = ["kvm", "libvirtd"]

MIB = 1 << 20


@pytest.fixture
def qmp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Export]:
    """A stopped machine ``vm`` with a disk of 8 MiB, of which one is data."""
    require("qemu-system-x86_64", "qemu-img")
    folder = tmp_path_factory.mktemp("q")
    url = f"qmp://{folder}"
    hypervisor = connect(url)
    assert hypervisor.lifecycle
    spec = {"name": "vm", "memory": "64MiB", "disks": [{"size": "8MiB", "format": "raw"}]}
    made = hypervisor.lifecycle.create(load_spec(spec))
    with open(made.disks[0].path, "r+b") as image:
        image.write(random.Random(5).randbytes(MIB))
    yield Export(url)
    hypervisor.lifecycle.delete("vm", disks=True)
    hypervisor.close()


def test_a_machine_of_qemu_there_and_back(qmp: Export, work: Path) -> None:
    qmp("vm", "--format", "ova", "--output", "here", "--quiet")
    qmp("import", "here/vm.ova", "--name", "vm2", "--disk-format", "raw", "--quiet")
    qmp("vm", "--format", "raw", "--output", "one", "--quiet")
    qmp("vm2", "--format", "raw", "--output", "two", "--quiet")
    one, two = (next((work / each).glob("*.raw")).read_bytes() for each in ("one", "two"))
    assert one == two
    hypervisor = connect(qmp.url)
    assert hypervisor.lifecycle
    hypervisor.lifecycle.delete("vm2", disks=True)
    hypervisor.close()


def test_handed_to_libvirt(export: Export, kvm: Lab, work: Path) -> None:
    kvm.folder.chmod(0o777)
    target = kvm.folder / "pool"
    target.mkdir()
    pool = kvm.connection.storagePoolCreateXML(
        f"<pool type='dir'><name>hx</name><target><path>{target}</path></target></pool>"
    )
    uri = kvm.libvirtd.uri
    more = ("--libvirt-pool", "hx", "--libvirt-autostart", "--quiet")
    result = export("web", "--libvirt", "--libvirt-uri", uri, *more)
    assert result.out.startswith("success: web exported to export-web (")
    domain = kvm.connection.lookupByName("web")
    assert domain.isActive()
    assert any(str(target) in line for line in domain.XMLDesc().splitlines())
    domain.destroy()
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    pool.destroy()


def test_what_libvirt_refuses(export: Export, kvm: Lab, work: Path) -> None:
    line = ("web", "--libvirt", "--libvirt-uri", kvm.libvirtd.uri, "--format", "raw")
    result = export(*line, "--libvirt-pool", "none", expect=Exit.HANDOVER)
    assert "web was not defined in libvirt: " in result.err
    assert "The export is complete." in result.err
    assert (work / "export-web" / "web-disk-0.raw").exists()
    assert kvm.connection.listAllDomains() == []


def test_the_network_is_the_one_that_was_named(
    export: Export,
    kvm: Lab,
    lab: MockHypervisor,
) -> None:
    assert lab.lifecycle
    assert lab.networks
    for name in "ab":
        lab.networks.create_network(Network(name))
    nics = [{"network": "a"}, {"network": "b"}]
    spec = {"name": "two", "disks": [{"size": "1MiB"}], "nics": nics}
    lab.lifecycle.create(load_spec(spec))
    kvm.folder.chmod(0o777)
    (kvm.folder / "pool").mkdir()
    pool = kvm.connection.storagePoolCreateXML(
        f"<pool type='dir'><name>hx</name><target><path>{kvm.folder}/pool</path></target></pool>"
    )
    kvm.connection.networkDefineXML("<network><name>other</name></network>")
    uri = kvm.libvirtd.uri
    export(
        "two",
        "--libvirt",
        "--libvirt-uri",
        uri,
        "--libvirt-pool",
        "hx",
        "--libvirt-bridge",
        "other",
    )
    description = kvm.connection.lookupByName("two").XMLDesc()
    assert description.count("network='other'") == 2
    kvm.connection.lookupByName("two").undefine()
    pool.destroy()
