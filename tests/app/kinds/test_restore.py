from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hypersdk.app.kinds.site import JOB_TAG
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    Interrupted,
    InvalidInput,
    InvalidState,
    PointNotFound,
)
from hypersdk.model.instances import InstanceState
from tests.app.kinds.killed import again, kill, resume
from tests.app.kinds.lab import MIB, Lab
from tests.app.kinds.running import JOB, FakeRun, Killed, Steps, cancelling, job_of, killing
from tests.flows.examples import leftovers
from tests.repository.examples import noise

BACKUP = {"repository": "main", "hypervisor": "lab", "instance": "web"}
INSTANCE = {
    "repository": "main", "instance": "web", "to_hypervisor": "lab", "new_name": "copy",
}  # fmt: skip


@pytest.fixture
def backed(lab: Lab) -> Lab:
    lab.run("backup", **BACKUP)
    return lab


def files(lab: Lab, **more: Any) -> dict[str, Any]:
    return {"repository": "main", "instance": "web", "to_folder": str(lab.root / "out"), **more}


def test_files(backed: Lab) -> None:
    done = backed.run("restore", **files(backed, disks=["vda"]))
    assert done["files"] == [str(backed.root / "out/vda.img")]
    assert Path(done["files"][0]).read_bytes() == backed.content("web")
    assert done["written"] == 4 * MIB
    done = backed.run("restore", **files(backed, overwrite=True, format="qcow2"))
    assert leftovers(backed.root / "out") == ["vda.img", "vda.qcow2", "vdb.qcow2"]


def test_files_in_the_way_stay(backed: Lab) -> None:
    out = backed.root / "out"
    out.mkdir()
    (out / "vdb.img").write_bytes(b"mine")
    with pytest.raises(AlreadyExists):
        backed.run("restore", **files(backed))
    assert leftovers(out) == ["vdb.img"]
    backed.run("restore", **files(backed, overwrite=True))
    assert (out / "vdb.img").stat().st_size == 4 * MIB


@pytest.mark.parametrize("moment", ["lost restore", "after restore", str(7 * MIB)])
def test_files_of_a_killed_run_are_written_once(backed: Lab, moment: str) -> None:
    request = files(backed)
    kill(backed.root, "restore", moment, request)
    out = backed.root / "out"
    before = {path.name: path.stat().st_ino for path in out.glob("*.img")}
    run = resume(backed, "restore", request)
    after = {path.name: path.stat().st_ino for path in out.glob("*.img")}
    assert set(after) == {"vda.img", "vdb.img"}
    assert before.items() <= after.items()
    assert (out / "vda.img").read_bytes() == backed.content("web")
    assert run.result["files"] == [str(out / "vda.img"), str(out / "vdb.img")]
    assert not list(out.glob("*.job"))


def test_paused_after_the_first_disk_the_next_run_goes_on(backed: Lab) -> None:
    request = files(backed)
    runs: list[FakeRun] = []

    def second_disk(progress: Any) -> None:
        if progress.task == "web/vdb":
            runs[0].cancel.cancel()

    run = FakeRun(job_of("restore", request), reporter=second_disk, share=lambda: 16 * MIB)
    runs.append(run)
    with pytest.raises(Interrupted):
        backed.kinds()["restore"].work(request, run)
    out = backed.root / "out"
    assert [path.name for path in out.glob("*.img")] == ["vda.img"]
    later = again(backed, "restore", request)
    assert {each.task for each in later.seen} == {"web/vdb"}
    assert leftovers(out) == ["vda.img", "vdb.img"]


def test_an_instance(backed: Lab) -> None:
    done = backed.run("restore", **INSTANCE, start=True)
    made = backed.mock().inventory.instance("copy")
    assert done["restored"] == "copy"
    assert done["started"]
    assert made.state is InstanceState.RUNNING
    assert made.tags == {"tier": "gold", JOB_TAG: backed.last.job.id}
    assert backed.content("copy") == backed.content("web")
    assert ("vm.created", "hypervisors/lab/instances/copy") in [e[:2] for e in backed.events]
    with pytest.raises(AlreadyExists):
        backed.run("restore", **INSTANCE)


@pytest.mark.parametrize("moment", ["lost restore", "after restore", "lost start", str(2 * MIB)])
def test_a_killed_run_makes_one_instance(backed: Lab, moment: str) -> None:
    request = {**INSTANCE, "start": True}
    kill(backed.root, "restore", moment, request)
    resume(backed, "restore", request)
    there = [each.name for each in backed.mock().inventory.instances()]
    assert there == ["copy", "web"]
    made = backed.mock().inventory.instance("copy")
    assert made.tags[JOB_TAG] == JOB
    assert made.state is InstanceState.RUNNING
    assert backed.content("copy") == backed.content("web")


def test_an_instance_of_others_is_not_taken_for_ours(backed: Lab) -> None:
    backed.mock().create_instance("copy", {"vda": MIB})
    with pytest.raises(AlreadyExists):
        again(backed, "restore", INSTANCE)
    assert backed.mock().inventory.instance("copy").disks[0].size == MIB


def test_one_that_runs_was_complete(backed: Lab) -> None:
    """Killed while it was started: whoever uses it by now keeps it."""
    backed.kinds()["restore"].work(INSTANCE, FakeRun(job_of("restore", INSTANCE)))
    backed.mock().lifecycle.start("copy")
    identity = backed.mock().inventory.instance("copy").id
    again(backed, "restore", INSTANCE)
    assert backed.mock().inventory.instance("copy").id == identity


def test_cancelled_nothing_is_left(backed: Lab) -> None:
    runs: list[FakeRun] = []
    run = FakeRun(
        job_of("restore", INSTANCE), reporter=cancelling(lambda: runs[0], MIB), share=lambda: MIB
    )
    runs.append(run)
    with pytest.raises(Interrupted):
        backed.kinds()["restore"].work(INSTANCE, run)
    with pytest.raises(InstanceNotFound):
        backed.mock().inventory.instance("copy")


def test_in_place(backed: Lab) -> None:
    original = backed.content("web")
    with backed.mock().guest("web", "vda") as guest:
        guest.write(0, noise(MIB, seed=7))
    request = {**INSTANCE, "new_name": "", "in_place": True}
    done = backed.run("restore", **request)
    assert done["restored"] == "web"
    assert 0 < done["written"] <= 2 * MIB
    assert backed.content("web") == original
    assert backed.run("restore", **request)["written"] == 0
    backed.mock().lifecycle.start("web")
    with pytest.raises(InvalidState):
        backed.run("restore", **request)


def test_the_latest_stays_the_same_after_a_crash(backed: Lab) -> None:
    (first,) = backed.points("web")
    request, steps = files(backed), Steps()
    run = FakeRun(job_of("restore", request), steps, at=killing("after choose"))
    with pytest.raises(Killed):
        backed.kinds()["restore"].work(request, run)
    backed.run("backup", **BACKUP)
    done = backed.kinds()["restore"].work(request, FakeRun(job_of("restore", request), steps))
    assert done["point"] == first.id


def test_points_by_id_and_time(backed: Lab) -> None:
    (point,) = backed.points("web")
    done = backed.run("restore", **files(backed, point=point.id[:20]))
    assert done["point"] == point.id
    later = files(backed, point="2999-12-31", overwrite=True)
    assert backed.run("restore", **later)["point"] == point.id
    with pytest.raises(PointNotFound):
        backed.run("restore", **files(backed, point="2001-01-01"))
    with pytest.raises(PointNotFound, match="is of 'web', not of 'db'"):
        backed.run("restore", **{**files(backed, point=point.id), "instance": "db"})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "one of request.to_folder and request.to_hypervisor"),
        ({"to_folder": "/x", "to_hypervisor": "lab"}, "one of request.to_folder"),
        ({"to_folder": "/x", "start": True}, "request.start: go with a hypervisor"),
        ({"to_folder": "/x", "in_place": True}, "request.in_place: go with a hypervisor"),
        ({"to_hypervisor": "lab", "disks": ["vda"]}, "request.disks: go with a folder"),
        ({"to_hypervisor": "lab", "in_place": True, "start": True}, "go with a new instance"),
    ],
)
def test_refused(lab: Lab, more: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        lab.kinds()["restore"].plan({"repository": "main", "instance": "web", **more})


def test_what_is_planned(lab: Lab) -> None:
    plan = lab.kinds()["restore"].plan(INSTANCE)
    assert plan.makes == 1
    assert plan.resources == ("hypervisor:lab", "repository:main")
    assert lab.kinds()["restore"].plan({**INSTANCE, "in_place": True}).makes == 0
