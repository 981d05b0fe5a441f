from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from hypersdk.database.events import EventLog
from hypersdk.jobs.schedules import ScheduleStore
from hypersdk.model.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    NotFound,
    PreconditionFailed,
)
from hypersdk.model.jobs import Backoff, Dependency, JobState, NewJob, RetryPolicy
from hypersdk.model.schedules import (
    After,
    CatchUp,
    NewSchedule,
    Retention,
    Weekday,
    Window,
)
from tests.jobs.conftest import Clock
from tests.jobs.lab import Lab

BACKUP = NewJob(
    kind="backup",
    request={"instance": "web-1", "repository": "main"},
    name="backup of web-1",
    queue="site-a",
    priority=70,
    resources=("hypervisor:lab",),
    retry=RetryPolicy(attempts=3, backoff=Backoff.LINEAR),
    dedup="backup web-1",
    tags={"a": "b"},
)
NIGHTLY = NewSchedule(
    name="nightly",
    cron="30 2 * * 1-5",
    zone="Europe/Berlin",
    job=BACKUP,
    description="every working day",
    windows=(
        Window(time(22), time(6), frozenset({Weekday.MON, Weekday.FRI}), "Europe/Berlin"),
        Window(time(0), time(4, 30, 15)),
    ),
    skip_if_running=False,
    catch_up=CatchUp.ONCE,
    retention=Retention(rules={"daily": 7, "within": "30d"}),
    owner="ann",
    tags={"who": "me"},
)
PLAIN = NewSchedule(name="plain", cron="@hourly", job=NewJob(kind="sleep", request={}))


@pytest.fixture
def schedules(still: Lab) -> ScheduleStore:
    return ScheduleStore(still.database, still.store)


def test_a_schedule_comes_back_as_it_was_made(both: Lab) -> None:
    store = ScheduleStore(both.database, both.store)
    made = store.create(NIGHTLY)
    assert store.get(made.id) == store.get("nightly") == made
    for field in (
        "name", "cron", "zone", "job", "description", "enabled", "windows", "after",
        "skip_if_running", "catch_up", "retention", "tenant", "owner", "tags",
    ):  # fmt: skip
        assert getattr(made, field) == getattr(NIGHTLY, field), field
    assert (made.runs, made.last_job, made.skipped) == (0, "", "")


def test_the_next_run_is_inside_of_the_windows(schedules: ScheduleStore) -> None:
    # Monday noon; of the next moments Tuesday's is in Monday's night.
    assert schedules.create(NIGHTLY).next_run == datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
    assert schedules.create(replace(PLAIN, enabled=False)).next_run is None


def test_preview(schedules: ScheduleStore) -> None:
    assert [each.hour for each in schedules.preview(PLAIN, 3)] == [13, 14, 15]
    made = schedules.create(PLAIN)
    assert schedules.preview(made, 2)[0] == made.next_run
    assert schedules.preview(PLAIN, 0) == ()
    with pytest.raises(InvalidInput, match="cron"):
        schedules.preview(replace(PLAIN, cron="x"), 1)


def test_names_are_unique_in_a_tenant(schedules: ScheduleStore) -> None:
    mine = schedules.create(PLAIN)
    theirs = schedules.create(replace(PLAIN, tenant="blue"))
    with pytest.raises(AlreadyExists, match="plain"):
        schedules.create(PLAIN)
    assert schedules.get("plain", tenant="blue") == theirs
    with pytest.raises(Conflict, match="several tenants"):
        schedules.get("plain")
    with pytest.raises(NotFound):
        schedules.get(mine.id, tenant="blue")
    other = schedules.create(replace(PLAIN, name="other"))
    with pytest.raises(AlreadyExists):
        schedules.replace(other.id, PLAIN, revision=None)


def test_a_name_that_is_not_there_is_told_with_the_nearest(schedules: ScheduleStore) -> None:
    schedules.create(NIGHTLY)
    with pytest.raises(NotFound) as caught:
        schedules.get("nightley")
    assert "nightly?" in caught.value.hint
    with pytest.raises(NotFound):
        schedules.delete("x")


def test_lists(schedules: ScheduleStore) -> None:
    made = [
        schedules.create(replace(PLAIN, name=f"s{n}", tenant="ab"[n % 2], enabled=n < 4))
        for n in range(6)
    ]
    ids = sorted(each.id for each in made)
    first = schedules.list(limit=4)
    assert [each.id for each in (*first, *schedules.list(after=first[-1].id))] == ids
    assert {each.name for each in schedules.list(tenant="a")} == {"s0", "s2", "s4"}
    assert {each.name for each in schedules.list(enabled=False)} == {"s4", "s5"}
    assert schedules.counts() == {"enabled": 4, "disabled": 2}


def test_a_change_is_refused_when_somebody_else_was_faster(schedules: ScheduleStore) -> None:
    made = schedules.create(PLAIN)
    changed = schedules.replace(made.id, replace(PLAIN, cron="@daily"), revision=made.revision)
    assert changed.revision > made.revision
    assert changed.next_run == datetime(2026, 3, 3, tzinfo=UTC)
    assert changed.created == made.created
    with pytest.raises(PreconditionFailed):
        schedules.replace(made.id, PLAIN, revision=made.revision)


def test_enable_and_disable(schedules: ScheduleStore, still: Lab, clock: Clock) -> None:
    made = schedules.create(PLAIN)
    off = schedules.disable(made.id)
    assert (off.enabled, off.next_run) == (False, None)
    assert schedules.disable(made.id) == off
    clock.pass_by(hours=5)
    on = schedules.enable(made.id)
    assert on.next_run == datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
    names = [event.name for event in EventLog(still.database).since(0)]
    assert names == ["schedule.created", "schedule.disabled", "schedule.enabled"]


def test_trigger_makes_a_job_now(schedules: ScheduleStore, still: Lab, clock: Clock) -> None:
    made = schedules.create(replace(NIGHTLY, tenant="blue"))
    job = still.store.get(schedules.trigger(made.id))
    assert (job.state, job.schedule, job.tenant, job.owner) == (
        JobState.PENDING, made.id, "blue", "ann",
    )  # fmt: skip
    assert job.request == {**BACKUP.request, "retention": {"daily": 7, "within": "30d"}}
    assert job.tags == {"who": "me", "a": "b"}
    assert (job.queue, job.priority, job.resources) == ("site-a", 70, ("hypervisor:lab",))
    after = schedules.get(made.id)
    assert (after.last_job, after.last_run, after.runs) == (job.id, clock.now, 1)
    assert (after.next_run, after.revision) == (made.next_run, made.revision)
    with pytest.raises(Conflict, match=job.id):
        schedules.trigger(made.id)  # the same backup is about to run
    still.store.cancel(job.id)
    assert schedules.trigger(made.id) != job.id


def test_deleted_it_is_gone_and_its_jobs_stay(schedules: ScheduleStore, still: Lab) -> None:
    made = schedules.create(PLAIN)
    job = schedules.trigger(made.id)
    schedules.delete(made.id)
    with pytest.raises(NotFound):
        schedules.get(made.id)
    assert still.store.get(job).schedule == made.id


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cron": "x"}, "cron"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"windows": (Window(time(1), time(2), zone="Mars"),)}, r"windows\[0\].zone"),
        ({"cron": "0 5 * * *", "windows": (Window(time(1), time(2)),)}, "windows"),
        ({"retention": Retention(rules={"daily": 1})}, "retention"),
        ({"job": NewJob(kind="s", request={}, id="x")}, "job.id"),
        ({"job": NewJob(kind="s", request={}, depends_on=(Dependency("x"),))}, "job.depends_on"),
        ({"after": (After("plain", "done"),)}, "after"),
    ],
)
def test_what_is_wrong_is_named(
    schedules: ScheduleStore, change: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput, match=field) as caught:
        schedules.create(replace(PLAIN, **change))  # type: ignore[arg-type]
    assert caught.value.hint


def test_what_comes_after_another_needs_it(schedules: ScheduleStore) -> None:
    with pytest.raises(NotFound, match="after: there is no schedule plan"):
        schedules.create(replace(PLAIN, after=(After("plan"),)))
    one = schedules.create(PLAIN)
    two = schedules.create(replace(PLAIN, name="two", after=(After("plain"),)))
    schedules.create(replace(PLAIN, name="three", after=(After(two.id),)))
    with pytest.raises(InvalidInput, match="wait for itself"):
        schedules.replace(one.id, replace(PLAIN, after=(After("three"),)), revision=None)
