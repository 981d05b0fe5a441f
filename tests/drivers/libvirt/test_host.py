from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.host import LibvirtHost
from hypersdk.model.units import GIB, MIB
from tests.kvm.domains import domain_xml
from tests.kvm.fixtures import Lab


@pytest.fixture
def host(lab: Lab) -> Iterator[LibvirtHost]:
    connection = Connection(lab.libvirtd.uri)
    yield LibvirtHost(connection)
    connection.close()


def test_what_a_kvm_host_is(lab: Lab, host: LibvirtHost) -> None:
    info = host.info()
    assert (info.name, info.product) == (lab.connection.getHostname(), "QEMU")
    assert info.architecture == os.uname().machine
    assert info.vcpus == os.cpu_count()
    assert [int(part) for part in info.version.split(".")] > [4]
    assert info.acceleration == "tcg"  # the lab hides KVM
    assert info.maximum_vcpus is not None
    assert info.maximum_vcpus > 16
    with open("/proc/meminfo") as file:
        total = int(next(line for line in file if line.startswith("MemTotal")).split()[1])
    assert abs(info.memory - total * 1024) < 2 * MIB
    assert 0 < info.memory_available < info.memory


def test_instances_count_while_they_are_active(lab: Lab, host: LibvirtHost) -> None:
    before = host.info().active_instances
    domain = lab.connection.createXML(domain_xml("web"))
    assert host.info().active_instances == before + 1
    domain.suspend()
    assert host.info().active_instances == before + 1
    domain.destroy()
    assert host.info().active_instances == before


def test_storage_is_that_of_the_default_pool(lab: Lab, host: LibvirtHost) -> None:
    assert host.info().storage_available is None
    pool = f"<pool type='dir'><name>default</name><target><path>{lab.folder}</path></target></pool>"
    defined = lab.connection.storagePoolDefineXML(pool)
    assert host.info().storage_available in {None, 0}  # it is not started
    defined.create()
    available = host.info().storage_available
    assert available is not None
    stat = os.statvfs(lab.folder)
    assert abs(available - stat.f_bfree * stat.f_frsize) < GIB


def test_libvirts_test_driver() -> None:
    connection = Connection("test:///default")
    info = LibvirtHost(connection).info()
    assert (info.product, info.name) == ("TEST", socket.gethostname())
    assert (info.vcpus, info.memory) == (16, 3 * GIB)
    assert info.active_instances == 1
    assert (info.acceleration, info.maximum_vcpus) == ("none", 32)
    connection.close()
