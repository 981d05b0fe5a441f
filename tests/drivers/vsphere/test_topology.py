from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.drivers.vsphere.rest import Rest
from hypersdk.model.errors import NotSupported
from tests.drivers.vsphere.conftest import Made

TAGGING = "/rest/com/vmware/cis/tagging"


def test_all_of_it(hypervisor: VsphereHypervisor, made: Made) -> None:
    made(folder="prod/web")
    found = hypervisor.topology.read()
    assert found.datacenters == ("DC0",)
    (cluster,) = found.clusters
    assert cluster.path == f"DC0/host/{cluster.name}"
    assert len(cluster.hosts) == 2
    members = [host for host in found.hosts if host.cluster == cluster.name]
    assert sorted(host.name for host in members) == sorted(cluster.hosts)
    assert members[0].connected
    assert members[0].vcpus
    assert members[0].memory
    assert {"DC0/vm/prod", "DC0/vm/prod/web"} <= set(found.folders)
    assert f"{cluster.path}/Resources" in [pool.path for pool in found.pools]
    assert "LocalDS_0" in [store.name for store in found.datastores]


def test_tags_and_what_they_are_on(hypervisor: VsphereHypervisor, made: Made) -> None:
    machine = hypervisor.connection.vm(made())
    with Rest(hypervisor.connection) as rest:
        category = rest.post(
            f"{TAGGING}/category",
            {
                "create_spec": {
                    "name": "tier",
                    "description": "",
                    "cardinality": "SINGLE",
                    "associable_types": ["VirtualMachine"],
                }
            },
        )
        spec = {"name": "gold", "description": "the best", "category_id": category}
        tag = rest.post(f"{TAGGING}/tag", {"create_spec": spec})
        rest.post(
            f"{TAGGING}/tag-association/id:{tag}?~action=attach",
            {"object_id": {"id": moid(machine), "type": "VirtualMachine"}},
        )
    (found,) = hypervisor.topology.tags()
    assert (found.name, found.category, found.description) == ("gold", "tier", "the best")
    assert found.objects == (moid(machine),)
    assert hypervisor.topology.read().tags == (found,)


def test_what_rest_does_not_have(hypervisor: VsphereHypervisor) -> None:
    with pytest.raises(NotSupported), Rest(hypervisor.connection) as rest:
        rest.get("/rest/no/such/thing")
