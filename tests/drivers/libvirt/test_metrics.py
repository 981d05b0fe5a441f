from __future__ import annotations

from collections.abc import Iterator

import pytest

from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.metrics import LibvirtMetrics
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.units import GIB, MIB
from tests.drivers.libvirt.places import booted, hypervisor, place  # noqa: F401
from tests.kvm.domains import DiskSpec, Guest, domain_xml
from tests.kvm.fixtures import Lab

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def part(hypervisor: LibvirtHypervisor) -> LibvirtMetrics:  # noqa: F811
    assert hypervisor.metrics is not None
    return hypervisor.metrics


@pytest.fixture
def test_driver() -> Iterator[LibvirtHypervisor]:
    connected = LibvirtHypervisor("test:///default")
    yield connected
    connected.close()


def test_counters_of_a_running_guest(part: LibvirtMetrics, booted: Guest) -> None:  # noqa: F811
    (before,) = part.metrics(["booted"])
    booted.run("echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/zero of=/data/x bs=1M count=4 2>&1")
    booted.run("sync; dd if=/dev/vda of=/dev/null bs=1M count=2 2>&1")
    (after,) = part.metrics(["booted"])
    assert after.name == "booted"
    assert after.state is InstanceState.RUNNING
    assert (after.vcpus, after.memory, after.memory_maximum) == (1, 128 * MIB, 128 * MIB)
    assert 16 * MIB < after.memory_resident < GIB
    assert after.cpu_nanoseconds > before.cpu_nanoseconds > 10**8
    (old,), (disk,) = before.disks, after.disks
    assert (disk.disk, disk.capacity) == ("vda", 32 * MIB)
    assert disk.allocation > 0
    assert disk.write_bytes - old.write_bytes >= 4 * MIB
    assert disk.write_requests > old.write_requests
    assert disk.read_requests > 0
    assert disk.read_bytes > 0
    assert disk.flush_requests > old.flush_requests
    assert disk.write_nanoseconds > old.write_nanoseconds


def test_network_counters(part: LibvirtMetrics, place: Lab) -> None:  # noqa: F811
    network = place.connection.networkCreateXML(
        "<network><name>n</name><bridge name='hl-metrics'/></network>"
    )
    nics = [
        "<interface type='network'><source network='n'/><model type='virtio'/></interface>",
        "<interface type='user'><model type='virtio'/></interface>",
    ]
    domain = place.connection.createXML(domain_xml("wired", devices=nics))
    (seen,) = part.metrics(["wired"])
    # The second is user-mode networking, of which libvirt counts nothing.
    (nic,) = seen.nics
    assert nic.name.startswith("vnet")
    assert min(nic.received_bytes, nic.sent_packets, nic.errors) >= 0
    domain.destroy()
    network.destroy()


def test_all_by_name(part: LibvirtMetrics, place: Lab, booted: Guest) -> None:  # noqa: F811
    image = place.image("stopped.qcow2", "8M")
    place.connection.defineXML(domain_xml("a & ü", [DiskSpec(image)], vcpus=3))
    stopped, running = part.metrics()
    assert (stopped.name, running.name) == ("a & ü", "booted")
    assert stopped.state is InstanceState.STOPPED
    assert (stopped.cpu_nanoseconds, stopped.memory_resident) == (0, 0)
    assert (stopped.vcpus, stopped.memory) == (3, 128 * MIB)
    assert [(d.disk, d.capacity, d.read_bytes) for d in stopped.disks] == [("vda", 8 * MIB, 0)]
    assert [m.name for m in part.metrics(["booted", "a & ü"])] == ["a & ü", "booted"]
    assert part.metrics([]) == []


def test_unknown_name(part: LibvirtMetrics) -> None:
    with pytest.raises(InstanceNotFound):
        part.metrics(["nobody"])


def test_driver_that_has_only_the_state(test_driver: LibvirtHypervisor) -> None:
    assert test_driver.metrics is not None
    (seen,) = test_driver.metrics.metrics()
    assert (seen.name, seen.state, seen.vcpus) == ("test", InstanceState.RUNNING, 2)
    assert (seen.memory, seen.memory_maximum) == (2 * GIB, 8 * GIB)
    assert seen.cpu_nanoseconds > 0
    assert (seen.disks, seen.nics) == ((), ())
