from __future__ import annotations

from typing import Any

import pytest

from hypersdk.app.kinds import snapshot as module
from hypersdk.datapath.cancel import token_in_force
from hypersdk.model.errors import AlreadyExists, Interrupted, InvalidInput, NotFound
from tests.app.kinds.killed import again, kill, resume
from tests.app.kinds.lab import Lab
from tests.app.kinds.running import JOB, FakeRun, job_of
from tests.repository.examples import noise

CREATE = {"hypervisor": "lab", "instance": "web"}
NAMED = {**CREATE, "snapshot": "before"}


def names(lab: Lab) -> list[str]:
    return [each.name for each in lab.mock().snapshots.snapshots("web")]


def test_made_and_reverted_to_and_deleted(lab: Lab) -> None:
    done = lab.run("snapshot", **NAMED, description="for the upgrade")
    (made,) = lab.mock().snapshots.snapshots("web")
    assert made.description == f"for the upgrade (job {lab.last.job.id})"
    assert done == {
        "instance": "web", "snapshot": "before", "operation": "create", "unchanged": False,
    }  # fmt: skip
    original = lab.content("web")
    with lab.mock().guest("web", "vda") as guest:
        guest.write(0, noise(4096, seed=5))
    lab.run("snapshot", **NAMED, operation="revert")
    assert lab.content("web") == original
    lab.run("snapshot", **NAMED, operation="delete")
    assert names(lab) == []
    assert [name for name, *_ in lab.events] == [
        "vm.snapshot_created", "vm.snapshot_reverted", "vm.snapshot_deleted",
    ]  # fmt: skip


def test_with_memory_and_children(lab: Lab) -> None:
    lab.mock().lifecycle.start("web")
    lab.run("snapshot", **NAMED, memory=True)
    assert lab.mock().snapshots.snapshots("web")[0].memory
    lab.run("snapshot", **CREATE)
    lab.run("snapshot", **NAMED, operation="delete", children=True)
    assert names(lab) == []


@pytest.mark.parametrize("request_", [CREATE, NAMED])
@pytest.mark.parametrize("moment", ["lost create", "after create", "before create"])
def test_killed_it_is_made_once(lab: Lab, request_: dict[str, Any], moment: str) -> None:
    kill(lab.root, "snapshot", moment, request_)
    resume(lab, "snapshot", request_)
    assert names(lab) == [request_.get("snapshot", f"job-{JOB}")]
    assert again(lab, "snapshot", request_).result["unchanged"]
    assert len(names(lab)) == 1


def test_one_of_others_is_not_taken_for_ours(lab: Lab) -> None:
    lab.mock().snapshots.create("web", "before")
    with pytest.raises(AlreadyExists):
        lab.run("snapshot", **NAMED)


def test_killed_while_deleting_it_is_gone_once(lab: Lab) -> None:
    lab.run("snapshot", **NAMED)
    request = {**NAMED, "operation": "delete"}
    kill(lab.root, "snapshot", "lost delete", request)
    assert resume(lab, "snapshot", request).result["unchanged"]
    with pytest.raises(NotFound, match="no snapshot 'before'"):
        again(lab, "snapshot", request)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"operation": "revert"}, "request.snapshot is missing"),
        ({"memory": True, "disk_only": True}, "contradict each other"),
        ({"operation": "delete", "snapshot": "a", "quiesce": True}, "for making a snapshot"),
        ({"children": True}, "for deleting a snapshot"),
        ({"operation": "clone"}, "request.operation: "),
    ],
)
def test_refused(lab: Lab, more: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        lab.kinds()["snapshot"].plan({**CREATE, **more})


class Slow:
    """Makes a snapshot, but says so only when nobody waits any more."""

    def __init__(self, lab: Lab, run: FakeRun) -> None:
        self._snapshots = lab.mock().snapshots
        self._run = run

    def create(self, *given: Any, **more: Any) -> None:
        self._snapshots.create(*given, **more)
        self._run.cancel.cancel()
        token_in_force().check()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshots, name)


@pytest.mark.parametrize("others", [False, True])
def test_cancelled_while_it_was_made(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    run = FakeRun(job_of("snapshot", CREATE))
    monkeypatch.setattr(module, "_snapshots", lambda _: Slow(lab, run))
    if others:
        lab.mock().snapshots.create("web", "before")
    with pytest.raises(Interrupted):
        lab.kinds()["snapshot"].work(CREATE, run)
    assert names(lab) == (["before"] if others else [])
