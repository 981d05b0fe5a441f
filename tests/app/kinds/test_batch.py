from __future__ import annotations

from typing import Any

import pytest

from hypersdk.model.errors import InstanceNotFound, Interrupted, InvalidInput, PartialFailure
from tests.app.kinds.lab import MIB, Lab
from tests.app.kinds.running import JOB, FakeRun, Killed, Steps, job_of, killing

NAMES = ("db", "web", "web-1", "web-2")


@pytest.fixture
def many(lab: Lab) -> Lab:
    for name in ("web-1", "web-2", "db"):
        lab.mock().create_instance(name, {"vda": MIB}, tags={"tier": "silver"})
    return lab


def run_of(lab: Lab, steps: Steps | None = None, /, **request: Any) -> tuple[FakeRun, Any]:
    filled = {"operation": "start", "hypervisor": "lab", **request}
    run = FakeRun(job_of("batch", filled), steps, kinds=lab.kinds())
    lab.kinds()["batch"].plan(filled)
    return run, lab.kinds()["batch"].work(filled, run)


def running(lab: Lab) -> list[str]:
    there = lab.mock().inventory.instances()
    return [each.name for each in there if each.state.value == "running"]


def test_a_job_for_each(many: Lab) -> None:
    run, done = run_of(many, match="web*")
    assert running(many) == ["web", "web-1", "web-2"]
    assert done["total"] == done["completed"] == 3
    assert done["jobs"] == {"web": f"{JOB}-1", "web-1": f"{JOB}-2", "web-2": f"{JOB}-3"}
    assert {each.parent for each in run.made} == {JOB}
    assert run.made[0].resources == ("hypervisor:lab",)
    assert run.made[0].queue == "site-a"


def test_chosen_by_state_and_tags(many: Lab) -> None:
    many.mock().lifecycle.start("db")
    _, done = run_of(many, operation="stop", states=["running"], tags={"tier": "silver"})
    assert list(done["jobs"]) == ["db"]
    _, done = run_of(many, operation="start", tags={"tier": ""}, options={"paused": True})
    assert list(done["jobs"]) == list(NAMES)


def test_exports_get_folders_of_their_own(many: Lab) -> None:
    options = {"output": str(many.root / "exports"), "format": "raw", "manifest": False}
    _, done = run_of(many, operation="export", instances=["db", "web-1"], options=options)
    assert done["completed"] == 2
    assert (many.root / "exports/db/db-disk-0.raw").exists()
    assert (many.root / "exports/web-1/web-1-disk-0.raw").exists()


def test_backups_and_snapshots(many: Lab) -> None:
    run_of(many, operation="backup", match="web-*", options={"repository": "main"})
    assert sorted(point.instance for point in many.points()) == ["web-1", "web-2"]
    _, done = run_of(many, operation="snapshot", instances=["db"], options={"snapshot": "s"})
    assert many.mock().snapshots.snapshots("db")[0].name == "s"
    assert done["completed"] == 1


def test_a_run_that_is_continued_makes_the_same_jobs(many: Lab) -> None:
    steps = Steps()
    request = {"operation": "start", "hypervisor": "lab", "match": "web-*"}
    run = FakeRun(job_of("batch", request), steps, kinds=many.kinds(), at=killing("after select"))
    with pytest.raises(Killed):
        many.kinds()["batch"].work(request, run)
    many.mock().create_instance("web-0", {"vda": MIB})
    later, _ = run_of(many, steps, match="web-*")
    assert [each.request["instance"] for each in later.made] == ["web-1", "web-2"]
    assert [each.id for each in later.made] == [f"{JOB}-1", f"{JOB}-2"]


def test_some_fail(many: Lab) -> None:
    many.mock().lifecycle.start("web-1")
    _, done = run_of(many, operation="pause", instances=["db", "web-1"])
    assert (done["completed"], done["failed"]) == (1, 1)
    assert "stopped: pause is impossible" in done["errors"]["db"]
    _, done = run_of(
        many, operation="resume", instances=["web-1", "db", "web-2"], stop_on_error=True
    )
    assert (done["completed"], done["failed"], done["cancelled"]) == (1, 1, 1)
    with pytest.raises(PartialFailure, match="all 2 jobs of the batch failed"):
        run_of(many, operation="pause", instances=["db", "web-2"])


def test_cancelled(many: Lab) -> None:
    request = {"operation": "start", "hypervisor": "lab", "match": "*"}
    run = FakeRun(job_of("batch", request), kinds=many.kinds())
    run.cancel.cancel()
    with pytest.raises(Interrupted):
        many.kinds()["batch"].work(request, run)
    assert running(many) == []


def test_nothing_is_begun_when_a_name_is_wrong(many: Lab) -> None:
    with pytest.raises(InstanceNotFound, match="no instance gone"):
        run_of(many, instances=["web", "gone"])
    with pytest.raises(InstanceNotFound, match="fits"):
        run_of(many, match="nothing-*")
    assert running(many) == []


def test_it_holds_nothing_that_its_jobs_wait_for(many: Lab) -> None:
    batch = many.kinds()["batch"]
    assert batch.waits
    plan = batch.plan(
        {
            "operation": "backup", "hypervisor": "lab", "match": "*",
            "options": {"repository": "main"},
        }
    )  # fmt: skip
    assert plan.resources == ()
    assert plan.uses == ("hypervisor:lab", "repository:main")


def test_a_tenants_jobs_count_for_its_quota(many: Lab) -> None:
    many.owned_by("acme")
    request = {"operation": "start", "hypervisor": "lab", "instances": ["web"]}
    run = FakeRun(job_of("batch", request, tenant="acme"), kinds=many.kinds())
    many.kinds()["batch"].work(request, run)
    assert run.made[0].resources == ("hypervisor:lab", "tenant:acme")
    assert run.made[0].tenant == "acme"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "of request.instances, or of what"),
        ({"instances": ["web"], "match": "*"}, "of request.instances, or of what"),
        ({"match": "*", "options": {"instance": "x"}}, "set for each instance"),
        ({"match": "*", "options": {"forec": True}}, "no field request.forec"),
        ({"match": "*", "operation": "backup"}, "request.repository is missing"),
        ({"match": "*", "operation": "explode"}, "request.operation: "),
    ],
)
def test_refused(lab: Lab, more: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        run_of(lab, **more)
