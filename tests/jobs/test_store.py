from __future__ import annotations

import time
from datetime import timedelta

import pytest

from hypersdk.database.events import EventLog
from hypersdk.jobs.store import SUBMIT_MOST
from hypersdk.model.errors import InvalidInput, InvalidState, NotFound, TooLarge
from hypersdk.model.jobs import (
    Backoff,
    Dependency,
    JobFilter,
    JobState,
    NewJob,
    Required,
    RetryPolicy,
)
from tests.jobs.conftest import Clock
from tests.jobs.lab import Lab


def test_a_job_comes_back_as_it_was_submitted(both: Lab) -> None:
    first = both.submit()
    job = NewJob(
        kind="backup",
        request={"instance": "web-1", "deep": {"list": [1, None, "ü"]}},
        name="backup of web-1",
        tenant="blue",
        owner="ann",
        queue="site-a",
        priority=70,
        resources=("hypervisor:lab", "repository:main"),
        not_before=both.database.now() + timedelta(hours=1),
        depends_on=(Dependency(first, Required.ANY),),
        retry=RetryPolicy(attempts=4, delay=1.5, backoff=Backoff.FIBONACCI, errors=("NotFound",)),
        dedup="web-1",
        tags={"who": "me"},
        id="mine",
    )
    ((answer,), found) = (both.store.submit([job]), both.store.get("mine"))
    assert (answer.id, answer.new) == ("mine", True)
    assert found.state is JobState.SCHEDULED
    for field in (
        "kind", "request", "name", "tenant", "owner", "queue", "priority", "resources",
        "not_before", "depends_on", "retry", "dedup", "tags",
    ):  # fmt: skip
        assert getattr(found, field) == getattr(job, field), field


def test_the_same_active_job_is_one_job(both: Lab) -> None:
    one, two, other = both.store.submit(
        [
            NewJob(kind="sleep", request={}, dedup="a"),
            NewJob(kind="sleep", request={}, dedup="a"),
            NewJob(kind="sleep", request={}, dedup="a", tenant="blue"),
        ]
    )
    assert two.id == one.id
    assert not two.new
    assert other.new
    assert both.store.submit([NewJob(kind="sleep", request={}, dedup="a")])[0] == two
    both.store.cancel(one.id)
    assert both.store.submit([NewJob(kind="sleep", request={}, dedup="a")])[0].new


def test_the_same_id_is_submitted_once(both: Lab) -> None:
    answers = [both.store.submit([NewJob(kind="sleep", request={}, id="x")])[0] for _ in range(2)]
    assert [answer.new for answer in answers] == [True, False]


def test_what_is_refused_is_refused_as_a_whole(lab: Lab) -> None:
    good = NewJob(kind="sleep", request={})
    with pytest.raises(InvalidInput, match="101"):
        lab.store.submit([good, NewJob(kind="sleep", request={}, priority=101)])
    with pytest.raises(InvalidInput, match="once"):
        lab.store.submit([good, NewJob(kind="s", request={}, retry=RetryPolicy(attempts=0))])
    with pytest.raises(TooLarge):
        lab.store.submit([good] * (SUBMIT_MOST + 1))
    assert lab.store.list().jobs == ()


def test_pages_go_from_new_to_old(lab: Lab) -> None:
    ids = [answer.id for answer in lab.store.submit([NewJob(kind="s", request={})] * 7)]
    page, seen = lab.store.list(limit=3), []
    while True:
        seen += [job.id for job in page.jobs]
        if page.next is None:
            break
        page = lab.store.list(limit=3, before=page.next)
    assert seen == ids[::-1]


def test_filters(
    both: Lab,
) -> None:
    a = both.submit("backup", tenant="blue", request={"instance": "Web_1"})
    b = both.submit("export", name="export of db%", schedule="s1", parent="p1")
    both.store.cancel(b)

    def ids(**wanted: object) -> set[str]:
        return {job.id for job in both.store.list(JobFilter(**wanted)).jobs}  # type: ignore[arg-type]

    assert ids() == {a, b}
    assert ids(states=frozenset({JobState.CANCELLED})) == {b}
    assert ids(kinds=frozenset({"backup"})) == {a}
    assert ids(tenant="blue") == ids(ids=frozenset({a})) == ids(text="web_1") == {a}
    assert ids(schedule="s1") == ids(parent="p1") == ids(text="DB%") == {b}
    assert ids(text="b_%") == set()
    now = both.database.now()
    assert ids(since=now + timedelta(hours=1)) == ids(until=now - timedelta(hours=1)) == set()
    assert both.store.counts(tenant="blue")[JobState.PENDING] == 1
    assert both.store.counts()[JobState.CANCELLED] == 1


def test_a_job_of_another_tenant_is_not_there(lab: Lab) -> None:
    id = lab.submit(tenant="blue")
    assert lab.store.get(id, tenant="blue").id == id
    with pytest.raises(NotFound, match=id):
        lab.store.get(id, tenant="red")


def test_changes_are_followed_by_revision(both: Lab) -> None:
    a, b = both.submit(), both.submit()
    seen = both.store.revision()
    assert both.store.changes(seen) == ()
    both.store.prioritise(a, 90)
    both.store.cancel(b)
    assert [job.id for job in both.store.changes(seen)] == [a, b]
    assert both.store.changes(0)[-1].revision == both.store.revision()


def test_wishes_of_a_job_that_does_not_run_are_done_at_once(lab: Lab) -> None:
    id = lab.submit()
    assert lab.store.pause(id).state is JobState.PAUSED
    assert lab.store.pause(id).state is JobState.PAUSED
    assert lab.store.resume(id).state is JobState.PENDING
    assert lab.store.cancel(id).state is JobState.CANCELLED
    assert lab.store.cancel(id).ended is not None
    with pytest.raises(InvalidState, match="cancelled"):
        lab.store.pause(id)
    with pytest.raises(InvalidState, match="not paused"):
        lab.store.resume(id)
    again = lab.store.retry(id)
    assert (again.state, again.ended) == (JobState.PENDING, None)
    names = [event.name for event in EventLog(lab.database).since(0)]
    assert names == [
        "job.created", "job.paused", "job.pending", "job.cancelled", "job.pending",
    ]  # fmt: skip


def test_a_paused_job_that_waits_for_others_waits_again_when_resumed(lab: Lab) -> None:
    first = lab.submit()
    id = lab.submit(depends_on=(Dependency(first),))
    lab.store.pause(id)
    assert lab.store.resume(id).state is JobState.SCHEDULED


def test_only_what_ended_before_is_deleted(still: Lab, clock: Clock) -> None:
    old, active = still.submit(), still.submit()
    still.store.cancel(old)
    clock.pass_by(days=2)
    new = still.submit()
    still.store.cancel(new)
    assert still.store.delete(clock.now - timedelta(days=1)) == 1
    assert {job.id for job in still.store.list().jobs} == {active, new}


def test_a_thousand_jobs_are_submitted_within_three_seconds(lab: Lab) -> None:
    new = [
        NewJob(kind="backup", request={"instance": f"web-{n}"}, dedup=f"web-{n}")
        for n in range(1000)
    ]
    began = time.monotonic()
    lab.store.submit(new)
    assert time.monotonic() - began <= 3
