"""The plan says how each disk would be read, and why so; nothing is changed for that."""

from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.address import address
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.routes import reading
from hypersdk.model.errors import HypervisorError, InvalidInput
from tests.drivers.vsphere.reading import Machines, machines, read_all

__all__ = ["machines"]


@pytest.mark.parametrize(
    ("running", "cbt", "words"),
    [
        (False, False, "by an export stream, which leaves out"),
        (False, True, "by ranges of [LocalDS_0] "),
        (True, False, "from one temporary snapshot"),
        (True, True, "locked by a running machine"),
    ],
)
def test_the_plan_says_how_and_why(
    machines: Machines, running: bool, cbt: bool, words: str
) -> None:
    name = machines.make(running=running, cbt=cbt)
    found = reading(machines.connection, machines.connection.vm(name))
    assert words in found
    assert "scsi0-0" in found
    machines.settled(name)


def test_a_disk_that_cannot_be_read_is_in_the_plan(machines: Machines) -> None:
    name = machines.make(running=True)
    other = machines.make_with([{"size": 1 << 20, "mode": "independent_persistent"}], running=True)
    assert "not at all" in reading(machines.connection, machines.connection.vm(other))
    assert "not at all" not in reading(machines.connection, machines.connection.vm(name))


def test_the_user_may_choose(machines: Machines) -> None:
    name = machines.make(cbt=True)
    with machines.by("nfc").view(name, {}) as view:
        assert "as the URL asks for" in view.disks[0].reason
        assert read_all(view)["scsi0-0"] == machines.lab.content(name, 0)
    running = machines.make(running=True)
    with pytest.raises(HypervisorError, match="cannot be read by ranges") as raised:
        machines.by("range").view(running, {})
    assert "reader=range" in raised.value.hint
    machines.settled(running)


def test_a_provider_must_be_named(machines: Machines) -> None:
    name = machines.make()
    with pytest.raises(InvalidInput, match="no NBD provider"):
        machines.by("nbd").view(name, {})
    connection = Connection(address(f"{machines.lab.url}&reader=nbd"))
    assert reading(connection, connection.vm(name)).startswith("not at all")
    connection.close()
