from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyVmomi import vim

from hypersdk.drivers.vsphere import finding
from hypersdk.drivers.vsphere.address import address
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.model.errors import InstanceNotFound, InvalidInput, NotFound
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab


@pytest.fixture
def everywhere(vsphere_lab: VsphereLab) -> Iterator[Connection]:
    """A connection that is not bound to a datacenter."""
    made = Connection(address(vsphere_lab.url.replace(f"/{vsphere_lab.datacenter}?", "/?")))
    yield made
    made.close()


def test_by_name_path_uuid_and_id(
    connection: Connection, everywhere: Connection, vsphere_lab: VsphereLab, made: Made
) -> None:
    name = made("web-of-prod", folder="prod/web")
    wanted = moid(connection.vm(name))
    uuid = connection.get(connection.vm(name), "config.instanceUuid")["config.instanceUuid"]
    datacenter = vsphere_lab.datacenter
    paths = (f"prod/web/{name}", f"{datacenter}/vm/prod/web/{name}", f"/prod/web/{name}")
    for asked in (name, uuid, wanted, *paths):
        assert moid(connection.vm(asked)) == wanted, asked
        assert moid(everywhere.vm(asked)) == wanted, asked


def test_two_of_one_name_are_listed_by_path(connection: Connection, made: Made) -> None:
    made("twin", folder="a")
    made("twin-of-b", folder="b")
    machine = connection.vm("twin-of-b")
    connection.task(lambda: machine.Rename_Task("twin"), "rename")
    with pytest.raises(InvalidInput, match=r"DC0/vm/a/twin, DC0/vm/b/twin") as raised:
        connection.vm("twin")
    assert "DC0/vm/a/twin" in raised.value.hint
    assert moid(connection.vm("b/twin")) == moid(machine)
    connection.task(lambda: machine.Rename_Task("twin-of-b"), "rename")


def test_the_nearest_names_are_told(connection: Connection, made: Made) -> None:
    made("database-1")
    made("database-2")
    with pytest.raises(InstanceNotFound, match="no instance 'databse-1'") as raised:
        connection.vm("databse-1")
    assert raised.value.hint.startswith("Did you mean database-1, database-2")
    with pytest.raises(InstanceNotFound, match="zzz"):
        connection.vm("zzz")
    with pytest.raises(InstanceNotFound):
        connection.vm("vm-999999")
    with pytest.raises(InstanceNotFound):
        connection.vm("no/such/path")


def test_a_slash_in_a_name(connection: Connection, made: Made) -> None:
    name = made("with-slash")
    machine = connection.vm(name)
    connection.task(lambda: machine.Rename_Task("a%2fb"), "rename")
    for asked in ("a/b", "a%2fb", "DC0/vm/a%2fb"):
        assert moid(connection.vm(asked)) == moid(machine)
    connection.task(lambda: machine.Rename_Task("with-slash"), "rename")


def test_an_unknown_datacenter(vsphere_lab: VsphereLab) -> None:
    url = vsphere_lab.url.replace(f"/{vsphere_lab.datacenter}?", "/nowhere?")
    lost = Connection(address(url))
    with pytest.raises(NotFound, match="no datacenter 'nowhere'") as raised:
        lost.vm("web")
    lost.close()
    assert vsphere_lab.datacenter in raised.value.hint


def test_places_all_at_once_and_one_by_one(connection: Connection, made: Made) -> None:
    name = made(folder="deep/er")
    parent = connection.get(connection.vm(name), "parent")["parent"]
    place = finding.Places(connection).of(parent)
    assert place == finding.place(connection, parent)
    assert (place.datacenter, place.folder) == ("DC0", "deep/er")
    assert place.path("a/b") == "DC0/vm/deep/er/a%2fb"
    assert finding.place(connection, None) == finding.Place("", "")


def test_the_datacenter_of_anything(connection: Connection, made: Made) -> None:
    machine = connection.vm(made(folder="x"))
    found, path = finding.datacenter_of(connection, machine)
    assert isinstance(found, vim.Datacenter)
    assert path == "DC0"
    store = connection.get(machine, "datastore")["datastore"][0]
    assert finding.datacenter_of(connection, store)[1] == "DC0"
    with pytest.raises(NotFound):
        finding.datacenter_of(connection, connection.content.rootFolder)
