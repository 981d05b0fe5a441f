from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState, NotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.management import CloneWish
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab


@pytest.fixture
def new(vsphere_lab: VsphereLab) -> Iterator[str]:
    name = f"clone-{uuid4().hex[:8]}"
    yield name
    vsphere_lab.remove_vm(name)


def test_a_clone_goes_where_it_is_wanted(
    hypervisor: VsphereHypervisor, made: Made, new: str, vsphere_lab: VsphereLab
) -> None:
    source = made()
    pool = hypervisor.pools.pools()[0]
    store = hypervisor.storage.pools()[0].name
    clone = hypervisor.deploying.clone(
        CloneWish(
            source=source,
            name=new,
            folder="deployed/web",
            pool=pool.path,
            datastore=store,
            start=True,
        )
    )
    assert clone.path == f"{vsphere_lab.datacenter}/vm/deployed/web/{new}"
    found = hypervisor.inventory.instance(new)
    assert found.folder == "deployed/web"
    assert found.state is InstanceState.RUNNING
    assert found.id != hypervisor.inventory.instance(source).id
    assert all(disk.path.startswith(f"[{store}]") for disk in found.disks)


def test_a_clone_of_a_snapshot_of_a_running_machine(
    hypervisor: VsphereHypervisor, made: Made, new: str
) -> None:
    source = made(running=True)
    with pytest.raises(InvalidState, match="not stopped"):
        hypervisor.deploying.clone(CloneWish(source=source, name=new, folder="deployed"))
    with pytest.raises(NotFound, match="no snapshot"):
        hypervisor.deploying.clone(CloneWish(source=source, name=new, snapshot="before"))
    hypervisor.snapshots.create(source, "before")
    hypervisor.deploying.clone(CloneWish(source=source, name=new, snapshot="before"))
    assert hypervisor.inventory.instance(new).state is InstanceState.STOPPED


def test_a_clone_can_become_a_template(hypervisor: VsphereHypervisor, made: Made, new: str) -> None:
    hypervisor.deploying.clone(CloneWish(source=made(), name=new, template=True))
    assert hypervisor.details.details(new).template


def test_what_cannot_be_is_refused_before(hypervisor: VsphereHypervisor, made: Made) -> None:
    source = made()
    with pytest.raises(AlreadyExists):
        hypervisor.deploying.clone(CloneWish(source=source, name=source, folder="x"))
    with pytest.raises(InvalidInput, match="template and run"):
        hypervisor.deploying.clone(CloneWish(source=source, name="y", template=True, start=True))
    with pytest.raises(InvalidInput, match="needs a snapshot"):
        hypervisor.deploying.clone(CloneWish(source=source, name="y", folder="x", linked=True))
