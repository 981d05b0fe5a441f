"""Fixtures for tests that share one lab, and one booted guest, in a module: booting takes seconds.

Such a module imports those it wants, and has nothing to do with the fixture ``lab``: a daemon has
room for one lab at a time.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import DiskSpec, Guest, domain_xml
from tests.kvm.fixtures import Lab, clean_lab


@pytest.fixture(scope="module")
def place(libvirtd: Libvirtd) -> Iterator[Lab]:
    """The lab of a module."""
    with clean_lab(libvirtd) as lab:
        yield lab


@pytest.fixture(scope="module")
def hypervisor(place: Lab) -> Iterator[LibvirtHypervisor]:
    connected = LibvirtHypervisor(place.libvirtd.uri)
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def booted(place: Lab) -> Iterator[Guest]:
    """A guest ``booted`` with an agent, room to plug, and an ext4 filesystem on ``/data`` (vda)."""
    image = place.image("booted.qcow2", "32M")
    raw = place.folder / "filesystem"
    subprocess.run(["mkfs.ext4", "-q", raw, "32M"], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, image], check=True)
    image.chmod(0o666)
    sockets = ["<controller type='pci' model='pcie-root-port'/>"] * 12
    xml = domain_xml(
        "booted",
        [DiskSpec(image)],
        system=place.system,
        options="mount=vda:/data",
        devices=["<controller type='pci' model='pcie-root'/>", *sockets],
    )
    running = Guest.start(place.connection, xml)
    yield running
    running.close()
