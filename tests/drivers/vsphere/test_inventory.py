from __future__ import annotations

import itertools
import time
from collections.abc import Generator

import pytest
from pyVmomi import vim

from hypersdk.drivers.vsphere import inventory
from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.client import wait_until
from tests.vsphere.lab import VsphereLab


def test_all_are_listed_by_name(hypervisor: VsphereHypervisor, made: Made) -> None:
    names = {made(), made(running=True), made(folder="prod/web")}
    found = [each for each in hypervisor.inventory.instances() if each.name in names]
    assert [each.name for each in found] == sorted(names)
    assert {each.folder for each in found} == {"", "prod/web"}
    assert InstanceState.RUNNING in {each.state for each in found}
    assert all(each.disks == () for each in found)


def test_one_has_everything(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(
        folder="prod",
        vcpus=3,
        memory_mb=300,
        disks=[{"size": 4 << 20}, {"size": 8 << 20}],
        extra={"hypersdk.owned": "1", "hypersdk.tag.tier": "gold"},
    )
    found = hypervisor.inventory.instance(name)
    assert (found.vcpus, found.memory, found.folder) == (3, 300 << 20, "prod")
    assert [disk.size for disk in found.disks] == [4 << 20, 8 << 20]
    assert [disk.name for disk in found.disks] == ["scsi0-0", "scsi0-1"]
    assert found.disks[0].path.startswith("[")
    assert (found.owned, dict(found.tags)) == (True, {"tier": "gold"})
    listed = next(each for each in hypervisor.inventory.instances() if each.name == name)
    assert (listed.id, listed.owned, dict(listed.tags)) == (found.id, True, {"tier": "gold"})


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one machine each."""
    monkeypatch.setattr(inventory, "_FIRST_PAGE", 1)
    monkeypatch.setattr(inventory, "PAGE", 1)


def test_it_is_read_page_by_page(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, made: Made, short_pages: None
) -> None:
    names = sorted(made() for _ in range(6))
    rows = hypervisor.inventory.instances()
    before = next(rows)
    calls = vsphere_lab.state()["calls"]["RetrievePropertiesEx"]
    after = list(itertools.islice(rows, 2))
    asked = calls + len(after) + inventory._AHEAD
    wait_until(lambda: vsphere_lab.state()["calls"]["RetrievePropertiesEx"] == asked)
    time.sleep(0.3)  # more than is asked for ahead would come now
    assert vsphere_lab.state()["calls"]["RetrievePropertiesEx"] == asked
    found = [each.name for each in (before, *after, *rows)]
    assert [name for name in found if name in names] == names


def test_a_listing_that_is_left_asks_no_further(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, made: Made, short_pages: None
) -> None:
    for _ in range(6):
        made()
    rows = hypervisor.inventory.instances()
    list(itertools.islice(rows, 2))
    assert isinstance(rows, Generator)
    rows.close()
    time.sleep(0.3)
    calls = vsphere_lab.state()["calls"]["RetrievePropertiesEx"]
    time.sleep(0.3)
    assert vsphere_lab.state()["calls"]["RetrievePropertiesEx"] == calls


def test_what_is_removed_meanwhile_is_left_out(
    hypervisor: VsphereHypervisor, made: Made, short_pages: None
) -> None:
    for name in ("aa-first", "aa-second", "aa-third", "aa-fourth"):
        made(name)
    connection = hypervisor.connection
    going = made("zz-going")
    rows = hypervisor.inventory.instances()
    first = next(rows)
    machine = connection.vm(going)
    connection.task(machine.Destroy_Task, "delete")
    found = [each.name for each in rows]
    assert going not in (first.name, *found)
    made(going)  # for the fixture to remove


def test_templates_are_stopped(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(template=True)
    assert hypervisor.inventory.instance(name).state is InstanceState.STOPPED
    details = hypervisor.details.details(name)
    assert details.template is True


def test_nobody_of_that_name(hypervisor: VsphereHypervisor) -> None:
    with pytest.raises(InstanceNotFound):
        hypervisor.inventory.instance("kit-nobody")


def test_a_machine_is_its_instance(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made()
    machine = hypervisor.connection.vm(name)
    assert isinstance(machine, vim.VirtualMachine)
    assert hypervisor.inventory.of(machine) == hypervisor.inventory.instance(name)
