from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from tests.drivers.vsphere.conftest import Made


def test_what_happened_is_told_with_its_subject(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made()
    hypervisor.lifecycle.start(name)
    since = datetime.now(UTC) - timedelta(minutes=10)
    mine = [each for each in hypervisor.past_events.since(since) if each.subject == name]
    kinds = [each.kind for each in mine]
    assert "VmPoweredOnEvent" in kinds
    assert all(each.subject_kind == "VirtualMachine" for each in mine)
    numbers = [each.number for each in mine]
    assert numbers == sorted(numbers)
    started = next(each for each in mine if each.kind == "VmPoweredOnEvent")
    assert name in started.message
    assert started.severity == "info"


def test_kinds_subjects_and_numbers_restrict(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made()
    hypervisor.lifecycle.start(name)
    since = datetime.now(UTC) - timedelta(minutes=10)
    past = hypervisor.past_events
    started = past.since(since, kinds={"VmPoweredOnEvent"})
    assert {each.kind for each in started} == {"VmPoweredOnEvent"}
    assert past.since(since, subjects={"Datastore"}) == []
    last = started[-1].number
    assert all(each.number > last for each in past.since(since, after=last))
    assert len(past.since(since, most=2)) == 2
