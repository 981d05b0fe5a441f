from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.wrappers.deadline import Deadlines
from hypersdk.flows.fleet.batch import Action, BatchOptions, BatchResult, Ending, run_batch
from hypersdk.flows.fleet.inventory import FleetInstance
from hypersdk.flows.fleet.members import Fleet
from hypersdk.model.errors import (
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    Interrupted,
    InvalidInput,
    InvalidState,
    NoAnswer,
    NotSupported,
)
from tests.flows.fleet.labs import PAUSED, RUNNING, STOPPED, Labs, everything

S, U, F = Ending.SUCCEEDED, Ending.UNCHANGED, Ending.FAILED


def do(
    fleet: Fleet, action: Action, options: BatchOptions | None = None, **wanted: object
) -> dict[str, tuple[Ending, str]]:
    """Label → how it ended, and the class of its error."""
    results = run_batch(fleet, everything(fleet, **wanted), action, options=options)
    return {
        each.target.label: (each.ending, type(each.error).__name__ if each.error else "")
        for each in results
    }


def test_each_action_on_each_state(labs: Labs) -> None:
    labs.add("a", "off", "on", "halted")
    labs.start("a", "on", "halted")
    labs.mock("a").lifecycle.pause("halted")
    with labs.fleet("a") as fleet:
        assert do(fleet, Action.PAUSE) == {
            "a/halted": (U, ""),
            "a/off": (F, "InvalidState"),
            "a/on": (S, ""),
        }
        assert labs.states("a") == {"halted": PAUSED, "off": STOPPED, "on": PAUSED}
        assert set(do(fleet, Action.RESUME).values()) == {(S, ""), (F, "InvalidState")}
        assert do(fleet, Action.RESUME)["a/on"] == (U, "")
        assert do(fleet, Action.START) == {
            "a/halted": (U, ""),
            "a/off": (S, ""),
            "a/on": (U, ""),
        }
        assert set(do(fleet, Action.STOP).values()) == {(S, "")}
        assert set(do(fleet, Action.STOP).values()) == {(U, "")}
        assert set(labs.states("a").values()) == {STOPPED}
        assert do(fleet, Action.DELETE) == dict.fromkeys(["a/halted", "a/off", "a/on"], (S, ""))
        assert labs.states("a") == {}


def test_starting_paused(labs: Labs) -> None:
    labs.add("a", "web")
    with labs.fleet("a") as fleet:
        assert do(fleet, Action.START, BatchOptions(paused=True)) == {"a/web": (S, "")}
        assert labs.states("a") == {"web": PAUSED}
        assert do(fleet, Action.START, BatchOptions(paused=True)) == {"a/web": (U, "")}
        assert do(fleet, Action.START) == {"a/web": (S, "")}
        assert labs.states("a") == {"web": RUNNING}


def test_one_failure_does_not_stop_the_others_and_the_order_is_kept(labs: Labs) -> None:
    failing = '[[failures]]\noperation = "lifecycle.start"\nnth = 2\nerror = "LimitExceeded"\n'
    labs.add("a", "1", "2", "3", config=failing)
    labs.add("b", "4", config='without = ["lifecycle"]')
    labs.add("c", "5")
    with labs.fleet("a", "b", "c") as fleet:
        results = run_batch(
            fleet,
            everything(fleet),
            Action.START,
            options=BatchOptions(per_hypervisor=1),
        )
    assert [each.target.label for each in results] == ["a/1", "a/2", "a/3", "b/4", "c/5"]
    assert [each.ending for each in results] == [S, F, S, F, S]
    assert type(results[3].error) is NotSupported
    assert all(each.seconds >= 0 for each in results)


def test_an_instance_that_went_meanwhile_and_one_that_took_its_name(labs: Labs) -> None:
    labs.add("a", "web")
    with labs.fleet("a") as fleet:
        targets = everything(fleet)
        labs.mock("a").lifecycle.delete("web")
        labs.mock("a").create_instance("web", {})
        (result,) = run_batch(fleet, targets, Action.DELETE)
        assert type(result.error) is InstanceNotFound
        assert list(labs.states("a")) == ["web"], "the other one is still there"


def test_deleting_what_runs(labs: Labs) -> None:
    labs.add("a", "web")
    labs.start("a", "web")
    with labs.fleet("a") as fleet:
        assert do(fleet, Action.DELETE) == {"a/web": (F, "InvalidState")}
        assert do(fleet, Action.DELETE, BatchOptions(force=True)) == {"a/web": (S, "")}
        assert labs.states("a") == {}


def test_disks_go_when_they_are_to(labs: Labs) -> None:
    labs.add("a")
    mock = labs.mock("a")
    for name in ("keep", "drop"):
        mock.create_instance(name, {"vda": 1 << 20})
    kept = labs._folder / "a" / "kept"
    with labs.fleet("a") as fleet:
        do(fleet, Action.DELETE, BatchOptions(disks=True), search="drop")
        assert not kept.exists() or not list(kept.iterdir())
        do(fleet, Action.DELETE, search="keep")
        assert len(list(kept.iterdir())) == 1


def test_snapshots_have_one_name_on_all(labs: Labs) -> None:
    labs.add("a", "web", "db")
    labs.add("b", "web", config='without = ["snapshots"]')
    options = BatchOptions(snapshot="before", description="the upgrade")
    with labs.fleet("a", "b") as fleet:
        assert do(fleet, Action.SNAPSHOT, options) == {
            "a/db": (S, ""),
            "a/web": (S, ""),
            "b/web": (F, "NotSupported"),
        }
        (snapshot,) = labs.mock("a").snapshots.snapshots("db")
        assert (snapshot.name, snapshot.description) == ("before", "the upgrade")
        assert do(fleet, Action.SNAPSHOT, options)["a/db"] == (F, "AlreadyExists")
        with pytest.raises(InvalidInput, match="needs a name"):
            do(fleet, Action.SNAPSHOT)


def test_a_lost_reply_is_not_a_failure_of_what_can_be_repeated(labs: Labs) -> None:
    lost = '[[failures]]\noperation = "lifecycle.stop"\nnth = 1\nkind = "lost_reply"\n'
    labs.add("a", "web", config=lost)
    labs.start("a", "web")
    with labs.fleet("a") as fleet:
        assert do(fleet, Action.STOP) == {"a/web": (S, "")}
        assert labs.states("a") == {"web": STOPPED}


def test_a_hypervisor_that_hangs_costs_its_deadline_and_no_more(labs: Labs) -> None:
    hang = '[[failures]]\noperation = "lifecycle.start"\nkind = "hang"\nseconds = 60\n'
    labs.add("a", "1", "2", config=hang)
    labs.add("b", "3")
    with labs.fleet("a", "b", deadlines=Deadlines(change=1.5)) as fleet:
        results = run_batch(fleet, everything(fleet), Action.START)
    assert [type(each.error) for each in results] == [NoAnswer, NoAnswer, type(None)]
    assert labs.states("b") == {"3": RUNNING}


def test_a_cancelled_batch_says_of_each_what_became_of_it(labs: Labs) -> None:
    slow = '[[failures]]\noperation = "lifecycle.start"\nnth = 2\nkind = "hang"\nseconds = 60\n'
    labs.add("a", "1", "2", "3", config=slow)
    token = CancelToken()

    def watch(result: BatchResult) -> None:
        if result.target.instance.name == "1":
            threading.Timer(0.1, token.cancel).start()

    with labs.fleet("a") as fleet:
        results = run_batch(
            fleet,
            everything(fleet),
            Action.START,
            options=BatchOptions(workers=1),
            watcher=watch,
            cancel=token,
        )
    assert [type(each.error) for each in results] == [type(None), Interrupted, Interrupted]
    assert results[2].error is not None
    assert results[2].error.message == "cancelled before it was begun"
    assert labs.states("a") == {"1": RUNNING, "2": STOPPED, "3": STOPPED}


def test_the_watcher_is_told_of_each_one_at_a_time(labs: Labs) -> None:
    labs.add("a", *(f"i{number}" for number in range(20)))
    seen: list[str] = []
    inside = threading.Lock()

    def watch(result: BatchResult) -> None:
        assert inside.acquire(blocking=False)
        seen.append(result.target.instance.name)
        inside.release()

    with labs.fleet("a") as fleet:
        run_batch(fleet, everything(fleet), Action.START, watcher=watch)
    assert sorted(seen) == sorted(f"i{number}" for number in range(20))


def test_a_member_that_is_gone_fails_for_its_instances_only(labs: Labs) -> None:
    labs.add("a", "web")
    labs.add("b", "db")
    with labs.fleet("a", "b") as fleet:
        targets = everything(fleet)
    with labs.fleet("a", urls={"b": labs.url("gone")}) as fleet:
        results = run_batch(fleet, targets, Action.START)
    assert [each.ending for each in results] == [S, F]
    assert isinstance(results[1].error, HypervisorUnreachable)


def test_an_unexpected_fault_is_the_result_of_that_instance(labs: Labs) -> None:
    labs.add("a", "web", "db")
    with labs.fleet("a") as fleet:
        targets = everything(fleet)
        web = targets[1]
        broken = FleetInstance("a", replace(web.instance, id=7))  # type: ignore[arg-type]
        results = run_batch(fleet, [targets[0], broken], Action.START)
    assert results[0].ending is S
    assert type(results[1].error) is HypervisorError
    assert "fault of the driver" in results[1].error.hint


def test_state_is_looked_at_when_it_is_done_not_when_it_was_listed(labs: Labs) -> None:
    labs.add("a", "web")
    with labs.fleet("a") as fleet:
        targets = everything(fleet)
        labs.start("a", "web")
        (result,) = run_batch(fleet, targets, Action.START)
        assert result.ending is U
        (result,) = run_batch(fleet, targets, Action.DELETE)
        assert isinstance(result.error, InvalidState)
