from __future__ import annotations

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab


def test_hosts_have_their_places_and_sizes(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab
) -> None:
    hosts = hypervisor.overview.hosts()
    nodes = {node.name: node for node in hypervisor.topology.read().hosts}
    assert {host.name for host in hosts} == set(nodes)
    for host in hosts:
        node = nodes[host.name]
        assert host.datacenter == vsphere_lab.datacenter
        assert host.cluster == node.cluster
        assert host.path.endswith(f"/{host.name}")
        assert host.path.startswith(f"{vsphere_lab.datacenter}/host/")
        assert host.connection == "connected"
        assert (host.threads, host.memory) == (node.vcpus, node.memory)
        assert host.mhz > 0
        assert host.version


def test_clusters_sum_up_their_hosts(hypervisor: VsphereHypervisor) -> None:
    clusters = hypervisor.overview.clusters()
    hosts = hypervisor.overview.hosts()
    assert {each.name for each in clusters} == {host.cluster for host in hosts if host.cluster}
    for each in clusters:
        inside = [host for host in hosts if host.cluster == each.name]
        assert each.hosts == len(inside)
        assert each.threads == sum(host.threads for host in inside)


def test_datacenters_count_what_is_in_them(hypervisor: VsphereHypervisor, made: Made) -> None:
    before = hypervisor.overview.datacenters()[0]
    made()
    after = hypervisor.overview.datacenters()[0]
    assert after.instances == before.instances + 1
    assert after.hosts == len(hypervisor.overview.hosts())
    assert after.clusters == len(hypervisor.overview.clusters())
    assert after.datastores == len(hypervisor.topology.read().datastores)


def test_the_server_says_what_it_is(hypervisor: VsphereHypervisor) -> None:
    server = hypervisor.overview.server()
    assert server.api == "VirtualCenter"
    assert server.version
    assert server.build
    assert server.instance
