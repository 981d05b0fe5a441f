from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

import pytest
from pyVmomi import vim

from hypersdk.drivers.vsphere.driver import VsphereHypervisor, connect
from hypersdk.drivers.vsphere.events import VsphereFollowing
from hypersdk.model.errors import HypervisorUnreachable
from hypersdk.model.instances import EventKind, InstanceEvent, InstanceState
from tests.drivers.vsphere.conftest import Made
from tests.vsphere.lab import VsphereLab


def _heard(
    following: VsphereFollowing, wanted: Callable[[InstanceEvent], bool]
) -> InstanceEvent | None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        event = following.next(1.0)
        if event is not None and wanted(event):
            return event
    return None


def test_a_change_is_told_within_a_second(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made()
    connection = hypervisor.connection
    machine = connection.vm(name)
    with hypervisor.events.follow() as following:
        assert following.instances()[name].state is InstanceState.STOPPED
        for change, state in (
            (machine.PowerOnVM_Task, InstanceState.RUNNING),
            (machine.PowerOffVM_Task, InstanceState.STOPPED),
        ):
            connection.task(change, "change")
            began = time.monotonic()
            event = _heard(following, lambda event: event.name == name)
            assert event is not None
            assert (event.kind, event.state) == (EventKind.STATE, state)
            assert time.monotonic() - began < 5  # 0.02 s on an idle machine
            assert following.instances()[name].state is state
        assert following.next(0.1) is None


#: Machines of a large vCenter; what a change costs must not grow with their number.
_MANY = 2000
#: Seconds that a user may wait to see a change. On an idle machine it takes 0.02.
_LATE = 1.0


def test_of_thousands_of_machines_a_change_is_told_within_a_second(
    vsphere_lab: VsphereLab, tmp_path: Path
) -> None:
    with (
        VsphereLab.start(tmp_path, vms=_MANY) as lab,
        closing(connect(lab.url)) as watching,
        closing(connect(lab.url)) as changing,
    ):
        machine = changing.connection.vm("DC0_C0_RP0_VM1234")
        with watching.events.follow() as following:
            assert len(following.instances()) == _MANY
            read = lab.state()["calls"]["RetrievePropertiesEx"]
            seconds = []
            for change in (machine.PowerOffVM_Task, machine.PowerOnVM_Task) * 2:
                began = time.monotonic()
                change()
                event = _heard(following, lambda event: event.kind is EventKind.STATE)
                assert event is not None
                assert event.name == "DC0_C0_RP0_VM1234"
                seconds.append(time.monotonic() - began)
            assert median(seconds) < _LATE
            # The change itself says what changed: nothing is read again.
            assert lab.state()["calls"]["RetrievePropertiesEx"] == read
            lab.add_vm(name="coming")
            began = time.monotonic()
            event = _heard(following, lambda event: event.name == "coming")
            assert event is not None
            assert time.monotonic() - began < _LATE
            assert following.next(0.2) is None


def test_coming_renaming_and_going(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, made: Made
) -> None:
    connection = hypervisor.connection
    with hypervisor.events.follow() as following:
        name = made(folder="some/where")
        event = _heard(following, lambda event: event.name == name)
        known = hypervisor.inventory.instance(name)
        assert event is not None
        assert (event.kind, event.id) == (EventKind.DEFINED, known.id)
        assert following.instances()[name].folder == "some/where"
        machine = connection.vm(name)
        connection.task(lambda: machine.Rename_Task(f"{name}-x"), "rename")
        event = _heard(following, lambda event: event.name == f"{name}-x")
        assert event is not None
        assert event.kind is EventKind.DEFINED
        connection.task(lambda: machine.Rename_Task(name), "rename back")
        connection.task(machine.Destroy_Task, "delete")
        event = _heard(following, lambda event: event.kind is EventKind.REMOVED)
        assert event is not None
        assert event.name == name
        assert name not in following.instances()
    made(name)


def test_tags_are_followed(hypervisor: VsphereHypervisor, made: Made) -> None:
    name = made(extra={"hypersdk.owned": "1"})
    connection = hypervisor.connection
    machine = connection.vm(name)
    tag = vim.option.OptionValue(key="hypersdk.tag.tier", value="gold")
    with hypervisor.events.follow() as following:
        assert following.instances()[name].owned
        spec = vim.vm.ConfigSpec(extraConfig=[tag])
        connection.task(lambda: machine.ReconfigVM_Task(spec), "tag")
        assert _heard(following, lambda event: event.name == name)
        assert dict(following.instances()[name].tags) == {"tier": "gold"}


def test_what_happens_around_the_end_of_a_session_is_told(
    hypervisor: VsphereHypervisor, vsphere_lab: VsphereLab, made: Made
) -> None:
    name = made()
    other = connect(vsphere_lab.url)
    with hypervisor.events.follow() as following:
        vsphere_lab.fault("session_loss")
        machine = other.connection.vm(name)
        other.connection.task(machine.PowerOnVM_Task, "start")
        event = _heard(following, lambda event: event.name == name)
        assert event is not None
        assert event.state is InstanceState.RUNNING
    other.close()


def test_a_closed_connection_ends_it(vsphere_lab: VsphereLab) -> None:
    hypervisor = connect(vsphere_lab.url)
    following = hypervisor.events.follow()
    hypervisor.close()
    for _ in range(2):
        with pytest.raises(HypervisorUnreachable, match="lost"):
            _heard(following, lambda event: False)
    following.close()


def test_closing_is_quick(hypervisor: VsphereHypervisor) -> None:
    following = hypervisor.events.follow()
    time.sleep(0.2)
    began = time.monotonic()
    following.close()
    following.close()
    assert time.monotonic() - began < 3
