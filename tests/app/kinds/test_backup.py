from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hypersdk.app.kinds.site import JOB_TAG
from hypersdk.model.errors import InstanceNotFound, Interrupted, InvalidInput, NotFound
from tests.app.kinds.killed import again, kill, resume
from tests.app.kinds.lab import MIB, Lab
from tests.app.kinds.running import JOB, FakeRun, cancelling, job_of
from tests.repository.examples import noise

BACKUP = {"repository": "main", "hypervisor": "lab", "instance": "web"}


def test_a_point_with_the_jobs_tag(lab: Lab) -> None:
    done = lab.run("backup", **BACKUP, tags={"why": "test"}, exclude=["vdb"], pinned=True)
    (point,) = lab.points("web")
    assert done["point"] == point.id
    assert point.tags == {"why": "test", JOB_TAG: lab.last.job.id}
    assert point.pinned
    assert [disk["name"] for disk in done["disks"]] == ["vda"]
    assert done["read"] == 4 * MIB
    assert not done["incremental"]
    assert lab.last.phases[-1] == ("copying", "web")
    assert lab.last.seen[-1].task == "web/vda"
    assert lab.events == []  # the end of its job is what is told
    with lab.mock().guest("web", "vda") as guest:
        guest.write(0, noise(64 << 10, seed=9))
    assert lab.run("backup", **BACKUP, exclude=["vdb"])["incremental"]
    assert not lab.run("backup", **BACKUP, exclude=["vdb"], full=True)["incremental"]


def test_an_image(lab: Lab) -> None:
    image = lab.root / "disk.img"
    image.write_bytes(noise(MIB))
    done = lab.run("backup", repository="main", image=str(image), name="old", image_format="raw")
    assert done["instance"] == "old"
    assert done["size"] == MIB


def test_retention_afterwards(lab: Lab) -> None:
    first = lab.run("backup", **BACKUP)
    second = lab.run("backup", **BACKUP, retention={"last": 1})
    assert second["pruned"] == [first["point"]]
    assert [point.id for point in lab.points("web")] == [second["point"]]


@pytest.mark.parametrize("moment", ["lost backup", "after backup", str(2 * MIB)])
def test_killed_and_continued_there_is_one_point(lab: Lab, moment: str) -> None:
    kill(lab.root, "backup", moment, BACKUP)
    there = [point.id for point in lab.points("web")]
    run = resume(lab, "backup", BACKUP)
    (point,) = lab.points("web")
    assert point.tags[JOB_TAG] == JOB
    assert there in ([point.id], [])
    if there:
        assert run.seen == []  # nothing was read again


def test_another_run_of_the_job_finds_the_point(lab: Lab) -> None:
    first = lab.kinds()["backup"].work(BACKUP, FakeRun(job_of("backup", BACKUP)))
    second = again(lab, "backup", BACKUP)
    assert second.result["point"] == first["point"]
    assert second.seen == []
    by_id = {**BACKUP, "instance": lab.mock().inventory.instance("web").id}
    assert again(lab, "backup", by_id).result["point"] == first["point"]


def test_cancelled_within_two_seconds_and_nothing_is_left(lab: Lab) -> None:
    runs: list[FakeRun] = []
    run = FakeRun(
        job_of("backup", BACKUP),
        reporter=cancelling(lambda: runs[0], MIB),
        share=lambda: MIB,
    )
    runs.append(run)
    stopped: list[float] = []
    cancel = run.cancel.cancel

    def noted() -> None:
        stopped.append(time.monotonic())
        cancel()

    run.cancel.cancel = noted  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        lab.kinds()["backup"].work(BACKUP, run)
    assert time.monotonic() - stopped[0] < 2
    assert lab.points() == []
    assert lab.mock().checkpoints.checkpoints("web") == []


def test_the_share_of_the_budgets_bounds_it_while_it_changes(lab: Lab) -> None:
    """4 MiB: a second at 1 MiB/s, then no bound at all."""
    began = time.monotonic()
    run = FakeRun(
        job_of("backup", BACKUP),
        share=lambda: MIB if time.monotonic() - began < 1 else None,
    )
    lab.kinds()["backup"].work({**BACKUP, "exclude": ["vdb"], "workers": 1}, run)
    assert 1 <= time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({**BACKUP, "instnace": "x"}, "there is no field request.instnace"),
        ({"repository": "main"}, "one of request.instance and request.image"),
        ({**BACKUP, "image": "/x"}, "one of request.instance and request.image"),
        ({**BACKUP, "hypervisor": ""}, "request.hypervisor is missing"),
        ({"repository": "main", "image": "/x"}, "request.name is missing"),
        ({**BACKUP, "chunk_size": 100_000}, "no power of two"),
        ({**BACKUP, "workers": 0}, "request.workers: "),
        ({**BACKUP, "tags": {JOB_TAG: "x"}}, "set by the daemon"),
        ({**BACKUP, "retention": {}}, "request.retention keeps nothing"),
        ({**BACKUP, "retention": {"lst": 1}}, "there is no field request.retention.lst"),
        ({"repository": "main", "image": "disk.img", "name": "x"}, "no absolute path"),
    ],
)
def test_refused_before_it_is_stored(lab: Lab, request_: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        lab.kinds()["backup"].plan(request_)
    assert caught.value.hint


def test_the_nearest_field_is_named(lab: Lab) -> None:
    with pytest.raises(InvalidInput) as caught:
        lab.kinds()["backup"].plan({**BACKUP, "retention": {"dialy": 1}})
    assert "Did you mean daily?" in caught.value.hint


def test_what_is_planned(lab: Lab) -> None:
    plan = lab.kinds()["backup"].plan(BACKUP)
    assert plan.name == "backup of web"
    assert plan.resources == plan.uses == ("hypervisor:lab", "repository:main")
    assert plan.queue == "site-a"
    assert plan.dedup == lab.kinds()["backup"].plan(dict(BACKUP)).dedup
    assert plan.dedup != lab.kinds()["backup"].plan({**BACKUP, "full": True}).dedup
    for name in ("hypervisor", "repository"):
        with pytest.raises(NotFound):
            lab.kinds()["backup"].plan({**BACKUP, name: "gone"})


def test_planning_a_thousand_asks_no_hypervisor(lab: Lab, tmp_path: Path) -> None:
    kinds = lab.kinds()
    (tmp_path / "lab").rename(tmp_path / "away")
    for number in range(1000):
        kinds["backup"].plan({**BACKUP, "instance": f"web-{number}"})


def test_no_such_instance(lab: Lab) -> None:
    with pytest.raises(InstanceNotFound):
        lab.run("backup", **{**BACKUP, "instance": "gone"})
