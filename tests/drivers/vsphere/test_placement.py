"""Where machines go."""

from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere import placement
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.placement import Datastore, HostPlace, choose_datastore, choose_host
from hypersdk.model.errors import LimitExceeded, NotFound
from hypersdk.model.units import GIB

LARGE, SMALL = Datastore("datastore-1", "large", 9 * GIB), Datastore("datastore-2", "small", GIB)


def _host(name: str, *datastores: str) -> HostPlace:
    return HostPlace(
        id=name,
        name=name,
        mhz=2400,
        free_memory=GIB,
        datastores=frozenset(datastores),
        compute=None,
    )


def test_a_named_datastore_is_taken() -> None:
    assert choose_datastore([LARGE, SMALL], "small", ()) is SMALL


def test_without_a_name_the_first_that_is_reached() -> None:
    assert choose_datastore([LARGE, SMALL], "", {"datastore-1", "datastore-2"}) is LARGE
    assert choose_datastore([LARGE, SMALL], "", {"datastore-2"}) is SMALL


def test_near_names_are_told() -> None:
    with pytest.raises(NotFound) as raised:
        choose_datastore([LARGE, SMALL], "larg", ())
    assert "Did you mean large?" in raised.value.hint


def test_no_datastore_is_no_room() -> None:
    with pytest.raises(LimitExceeded):
        choose_datastore([], "", ())


def test_a_host_reaches_all_that_is_needed() -> None:
    near, far = _host("near", "datastore-1"), _host("far", "datastore-1", "datastore-2")
    assert choose_host([near, far]) is near
    assert choose_host([near, far], {"datastore-2"}) is far
    with pytest.raises(LimitExceeded, match="no host"):
        choose_host([near], {"datastore-2"})


def test_what_the_lab_has(connection: Connection) -> None:
    top = placement.datacenter(connection)
    hosts = placement.hosts(connection, top)
    assert all(host.mhz > 0 and host.datastores for host in hosts)
    assert [host.free_memory for host in hosts] == sorted(
        (host.free_memory for host in hosts), reverse=True
    )
    found = placement.datastores(connection, top)
    assert [each.free for each in found] == sorted((each.free for each in found), reverse=True)
