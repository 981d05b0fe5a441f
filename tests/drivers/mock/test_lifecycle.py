from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock.clock import FakeClock
from hypersdk.drivers.mock.config import Config
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.mock.lifecycle import DEAF
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    OperationTimeout,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.operations import OUTCOMES, Gone, Operation
from hypersdk.model.specs import DiskSpec, InstanceSpec
from tests.drivers.mock.lab import MIB


def state(mock: MockHypervisor) -> InstanceState:
    return mock.inventory.instance("web").state


def test_start_and_stop_may_be_repeated(mock: MockHypervisor) -> None:
    for _ in range(2):
        mock.lifecycle.stop("web")
        assert state(mock) is InstanceState.STOPPED
    for _ in range(2):
        mock.lifecycle.start("web")
        assert state(mock) is InstanceState.RUNNING


def test_delete_refuses_a_running_instance(mock: MockHypervisor) -> None:
    with pytest.raises(InvalidState, match="Stop it first"):
        mock.lifecycle.delete("web")


def test_delete_removes_everything_once(mock: MockHypervisor) -> None:
    folder = Path(mock.inventory.instance("web").disks[0].path).parents[1]
    mock.lifecycle.stop("web")
    mock.lifecycle.delete("web", disks=True)
    assert not folder.exists()
    assert not list(folder.parent.rglob("*.raw"))
    with pytest.raises(InstanceNotFound):
        mock.lifecycle.delete("web")


def test_delete_keeps_disks_unless_told_otherwise(mock: MockHypervisor) -> None:
    disk = Path(mock.inventory.instance("web").disks[0].path)
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"precious")
    mock.lifecycle.stop("web")
    mock.lifecycle.delete("web")
    (kept,) = (disk.parents[2] / "kept").iterdir()
    assert (kept.name, kept.read_bytes()[:8]) == (disk.name, b"precious")
    assert list(mock.inventory.instances()) == []


def test_create_names_disks_and_keeps_what_is_known(mock: MockHypervisor) -> None:
    disks = (DiskSpec(size=MIB), DiskSpec(name="vda", size=2 * MIB), DiskSpec())
    made = mock.lifecycle.create(
        InstanceSpec(name="app", vcpus=2, memory=MIB, disks=disks, tags={"tier": "gold"})
    )
    assert [(disk.name, disk.size) for disk in made.disks] == [
        ("vdb", MIB),
        ("vda", 2 * MIB),
        ("vdc", 0),
    ]
    assert (made.state, made.vcpus, made.memory) == (InstanceState.STOPPED, 2, MIB)
    assert made.tags == {"tier": "gold"}
    assert mock.inventory.instance("app") == made
    with pytest.raises(AlreadyExists):
        mock.lifecycle.create(InstanceSpec(name="app"))


@pytest.mark.parametrize(
    "disks",
    [
        (DiskSpec(path="/x"),),
        (DiskSpec(base="/x"),),
        (DiskSpec(pool="p"),),
        (DiskSpec(size=-1),),
        (DiskSpec(name="vda"), DiskSpec(name="vda")),
    ],
)
def test_create_refuses_what_it_cannot_make(
    mock: MockHypervisor, disks: tuple[DiskSpec, ...]
) -> None:
    with pytest.raises(InvalidInput):
        mock.lifecycle.create(InstanceSpec(name="app", disks=disks))
    assert len(list(mock.inventory.instances())) == 1


def test_pause_and_resume_may_be_repeated(mock: MockHypervisor) -> None:
    for _ in range(2):
        mock.lifecycle.pause("web")
        assert state(mock) is InstanceState.PAUSED
    mock.lifecycle.reset("web")
    assert state(mock) is InstanceState.PAUSED
    for _ in range(2):
        mock.lifecycle.resume("web")
        assert state(mock) is InstanceState.RUNNING


def test_a_paused_instance_is_stopped_by_force_only(mock: MockHypervisor) -> None:
    mock.lifecycle.pause("web")
    with pytest.raises(InvalidState, match="force"):
        mock.lifecycle.stop("web")
    mock.lifecycle.stop("web", force=True)
    assert state(mock) is InstanceState.STOPPED


def test_start_paused_halts_only_what_did_not_run(mock: MockHypervisor) -> None:
    mock.lifecycle.start("web", paused=True)
    assert state(mock) is InstanceState.RUNNING
    mock.lifecycle.stop("web")
    for _ in range(2):
        mock.lifecycle.start("web", paused=True)
        assert state(mock) is InstanceState.PAUSED
    mock.lifecycle.start("web")
    assert state(mock) is InstanceState.RUNNING


@pytest.mark.parametrize("verb", ["pause", "resume", "reset"])
def test_a_stopped_instance_must_be_started_first(mock: MockHypervisor, verb: str) -> None:
    mock.lifecycle.stop("web")
    with pytest.raises(InvalidState, match="Start it"):
        getattr(mock.lifecycle, verb)("web")


def test_a_crashed_instance_is_reset_started_or_stopped(mock: MockHypervisor) -> None:
    folder = Path(mock.inventory.instance("web").disks[0].path).parents[1]
    for verb, after in (("reset", "running"), ("start", "running"), ("stop", "stopped")):
        (folder / "state.json").write_text('{"state": "crashed"}')
        with pytest.raises(InvalidState, match="crashed"):
            mock.lifecycle.pause("web")
        getattr(mock.lifecycle, verb)("web")
        assert state(mock).value == after


@pytest.mark.parametrize("verb", ["start", "stop", "pause", "resume", "reset", "delete"])
def test_a_missing_instance_is_not_found(mock: MockHypervisor, verb: str) -> None:
    with pytest.raises(InstanceNotFound):
        getattr(mock.lifecycle, verb)("nobody")


def test_delete_waits_for_no_backup(mock: MockHypervisor) -> None:
    mock.lifecycle.stop("web")
    with mock.disks.view("web", {}), pytest.raises(InvalidState, match="backup"):
        mock.lifecycle.delete("web")
    mock.lifecycle.delete("web")


def test_a_guest_handle_outlives_its_instance_with_an_error(mock: MockHypervisor) -> None:
    mock.lifecycle.stop("web")
    with mock.guest("web", "vda") as guest:
        mock.lifecycle.delete("web")
        mock.create_instance("web", {"vda": MIB})
        with pytest.raises(InstanceNotFound):
            guest.write(0, b"to the old one")


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("before", ["stopped", "running", "paused", "crashed"])
def test_every_operation_does_in_every_state_what_the_table_says(
    mock: MockHypervisor, operation: Operation, before: str
) -> None:
    folder = mock._root.find("web")
    folder.set_state(InstanceState(before))
    expected = OUTCOMES[operation].get(InstanceState(before))
    call = getattr(mock.lifecycle, operation.value.split()[-1])
    options = {"force": True} if operation is Operation.FORCE_STOP else {}
    if expected is None:
        with pytest.raises(InvalidState):
            call("web", **options)
        assert state(mock).value == before
        return
    call("web", **options)
    if isinstance(expected, Gone):
        with pytest.raises(InstanceNotFound):
            state(mock)
    else:
        assert state(mock) is expected


def test_a_guest_that_does_not_obey_uses_up_the_time(tmp_path: Path) -> None:
    clock = FakeClock()
    mock = MockHypervisor(tmp_path, config=Config(obeys_stop=False), clock=clock)
    obedient = MockHypervisor(tmp_path, clock=clock)
    mock.create_instance("web", {})
    mock.lifecycle.start("web")
    with pytest.raises(OperationTimeout, match="after 7 s"):
        mock.lifecycle.stop("web", timeout=7)
    assert clock.sleeps == [7]
    assert state(mock) is InstanceState.RUNNING
    obedient.lifecycle.create(InstanceSpec(name="deaf", kernel_arguments=f"quiet {DEAF}"))
    obedient.lifecycle.start("deaf")
    with pytest.raises(OperationTimeout):
        obedient.lifecycle.stop("deaf")
    obedient.lifecycle.stop("deaf", force=True)
    obedient.lifecycle.stop("web")
