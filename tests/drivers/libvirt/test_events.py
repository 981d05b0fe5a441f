from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.driver import LibvirtHypervisor
from hypersdk.drivers.libvirt.ears import Ears
from hypersdk.drivers.libvirt.events import LibvirtEvents, LibvirtFollowing
from hypersdk.drivers.libvirt.inventory import LibvirtInventory
from hypersdk.drivers.libvirt.keptmarks import KeptMarks
from hypersdk.model.errors import HypervisorUnreachable
from hypersdk.model.instances import EventKind, InstanceEvent, InstanceState
from hypersdk.model.specs import InstanceSpec
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab


@contextmanager
def events_of(lab: Lab) -> Iterator[LibvirtEvents]:
    connection = Connection(lab.libvirtd.uri)
    ears = Ears(connection)
    yield LibvirtEvents(connection, ears, LibvirtInventory(connection, KeptMarks(ears)))
    ears.close()
    connection.close()


@pytest.fixture
def following(lab: Lab) -> Iterator[LibvirtFollowing]:
    with events_of(lab) as events, events.follow() as following:
        yield following


def told(following: LibvirtFollowing) -> InstanceEvent:
    event = following.next(10)
    assert event is not None
    return event


def until(following: LibvirtFollowing, kind: str, state: str) -> list[str]:
    """Names in the events up to the one that is meant. How often libvirt says that a domain runs
    (its process, its processors) differs between versions."""
    names = []
    while True:
        event = told(following)
        names.append(event.name)
        if (event.kind.value, event.state.value) == (kind, state):
            return names


def test_the_life_of_a_domain(lab: Lab, following: LibvirtFollowing) -> None:
    assert following.instances() == {}
    assert following.next(0.01) is None
    xml = domain_xml("<wéb>", [DiskSpec(lab.image("a.qcow2", "1M"))])
    domain = lab.connection.defineXML(xml)
    event = told(following)
    assert (event.id, event.name) == (domain.UUIDString(), "<wéb>")
    assert (event.kind, event.state) == (EventKind.DEFINED, InstanceState.STOPPED)
    assert event.detail == "defined"
    assert event.time.tzinfo is not None
    (known,) = following.instances().values()
    assert (known.name, known.disks[0].format) == ("<wéb>", "qcow2")

    domain.create()
    until(following, "state", "running")
    domain.suspend()
    assert set(until(following, "state", "paused")) == {"<wéb>"}
    assert following.instances()["<wéb>"].state is InstanceState.PAUSED
    domain.destroy()
    while (event := told(following)).state is not InstanceState.STOPPED:
        assert event.detail == "shutdown"  # of the process
    assert event.detail == "stopped destroyed"
    domain.undefine()
    assert until(following, "removed", "stopped") == ["<wéb>"]
    assert following.instances() == {}
    assert following.next(0.1) is None


def test_a_domain_without_a_definition(lab: Lab, following: LibvirtFollowing) -> None:
    domain = lab.connection.createXML(domain_xml("passing"))
    until(following, "state", "running")
    assert following.instances()["passing"].memory > 0
    domain.destroy()
    until(following, "state", "stopped")
    assert until(following, "removed", "stopped") == ["passing"]
    assert following.instances() == {}


def test_a_domain_that_outlives_its_definition(lab: Lab, following: LibvirtFollowing) -> None:
    domain = lab.connection.defineXML(domain_xml("web"))
    domain.create()
    domain.undefine()
    lab.connection.defineXML(domain_xml("mark"))
    while (event := told(following)).name != "mark":
        assert event.kind is not EventKind.REMOVED
    assert following.instances()["web"].state is InstanceState.RUNNING
    domain.destroy()
    until(following, "removed", "stopped")
    assert set(following.instances()) == {"mark"}


def test_a_renamed_domain_keeps_its_id(lab: Lab, following: LibvirtFollowing) -> None:
    domain = lab.connection.defineXML(domain_xml("old"))
    told(following)
    domain.rename("new")
    event = told(following)
    assert (event.kind, event.name, event.id) == (EventKind.DEFINED, "new", domain.UUIDString())
    assert set(following.instances()) == {"new"}


def test_nothing_is_missed_while_it_begins(lab: Lab) -> None:
    """Domains come and go all the time; what is known and what was told fit together."""
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            lab.connection.defineXML(domain_xml(f"d{number}"))
            if number % 2:
                lab.connection.lookupByName(f"d{number - 1}").undefine()
            number += 1

    thread = threading.Thread(target=churn)
    thread.start()
    with events_of(lab) as events:
        try:
            for _ in range(10):
                with events.follow() as following:
                    time.sleep(0.05)
                    assert following.instances()
        finally:
            stop.set()
            thread.join()
        with events.follow() as following:
            truth = {domain.name() for domain in lab.connection.listAllDomains()}
            assert set(following.instances()) == truth
            gone = next(iter(truth))
            lab.connection.lookupByName(gone).undefine()
            while (event := told(following)).kind is not EventKind.REMOVED or event.name != gone:
                pass  # the last of what came and went before
            assert set(following.instances()) == truth - {gone}


def test_two_followers_each_hear_everything(lab: Lab, following: LibvirtFollowing) -> None:
    with events_of(lab) as events, events.follow() as other, events.follow() as third:
        lab.connection.defineXML(domain_xml("web"))
        assert told(following).id == told(other).id == told(third).id


def test_a_lost_connection_is_told(lab: Lab, following: LibvirtFollowing) -> None:
    lab.connection.defineXML(domain_xml("web"))
    told(following)
    lab.libvirtd.kill()
    try:
        for _ in range(2):
            with pytest.raises(HypervisorUnreachable, match="was lost"):
                following.next(10)
        assert set(following.instances()) == {"web"}
    finally:
        lab.libvirtd.restart()


def test_following_can_begin_anew_after_a_loss(lab: Lab) -> None:
    with events_of(lab) as events:
        with events.follow() as following:
            lab.libvirtd.kill()
            lab.libvirtd.restart()
            with pytest.raises(HypervisorUnreachable):
                following.next(10)
        with events.follow() as following:
            lab.libvirtd.open().defineXML(domain_xml("web"))
            assert told(following).name == "web"


def test_libvirts_test_driver_tells_too() -> None:
    hypervisor = LibvirtHypervisor("test:///default")
    assert hypervisor.events is not None
    with hypervisor.events.follow() as following:
        assert set(following.instances()) == {"test"}
        hypervisor.lifecycle.create(InstanceSpec(name="web"))
        assert told(following).name == "web"
        hypervisor.lifecycle.start("web")
        assert told(following).state is InstanceState.RUNNING
        hypervisor.lifecycle.stop("web", force=True)
        hypervisor.lifecycle.delete("web")
        assert [told(following).kind, told(following).kind] == [EventKind.STATE, EventKind.REMOVED]
    following.close()
    hypervisor.close()
