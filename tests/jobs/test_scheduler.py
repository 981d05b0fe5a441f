from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog
from hypersdk.jobs.claims import Claims, Ending, RunName
from hypersdk.jobs.dispatcher import Room
from hypersdk.jobs.scheduler import Scheduler
from hypersdk.jobs.schedules import ScheduleStore
from hypersdk.jobs.windows import Windows
from hypersdk.model.errors import NotFound
from hypersdk.model.jobs import Job, JobFilter, JobState, NewJob, Wish
from hypersdk.model.schedules import After, CatchUp, NewSchedule, Schedule, Window
from tests.jobs.conftest import Clock
from tests.jobs.lab import QUICK, Lab
from tests.jobs.test_dispatcher import dispatcher

HOURLY = NewSchedule(name="hourly", cron="@hourly", job=NewJob(kind="sleep", request={}))


class Steady:
    """Time that passes whatever the clock of the wall is set to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jumps = 0.0

    def __call__(self) -> float:
        return self._clock.now.timestamp() - self._jumps

    def jump(self, **amount: float) -> None:
        """Somebody sets the clock."""
        self._clock.pass_by(**amount)
        self._jumps += timedelta(**amount).total_seconds()


@pytest.fixture
def steady(clock: Clock) -> Steady:
    return Steady(clock)


@pytest.fixture
def store(still: Lab) -> ScheduleStore:
    return ScheduleStore(still.database, still.store)


@pytest.fixture
def tick(still: Lab, steady: Steady) -> Callable[[], None]:
    scheduler = Scheduler(still.database, monotonic=steady)
    scheduler.tick()
    return scheduler.tick


def jobs(lab: Lab, schedule: Schedule) -> list[Job]:
    return list(lab.store.list(JobFilter(schedule=schedule.id)).jobs)


def finish(lab: Lab, state: JobState = JobState.COMPLETED) -> None:
    """Everything that is pending or running."""
    claims = Claims(lab.database, "one")
    claims.register(["default"], 1, "test")
    dispatcher(lab.database).tick(Room(100, 100))
    for run in claims.running():
        claims.finish(run, Ending(state=state))


def test_a_moment_makes_a_job(
    still: Lab, store: ScheduleStore, tick: Callable[[], None], clock: Clock
) -> None:
    made = store.create(HOURLY)
    clock.pass_by(minutes=59)
    tick()
    assert jobs(still, made) == []
    clock.pass_by(minutes=1, seconds=1)
    tick()
    tick()
    (job,) = jobs(still, made)
    after = store.get(made.id)
    assert (after.last_job, after.runs, after.skipped) == (job.id, 1, "")
    assert after.next_run == datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
    event = EventLog(still.database).since(0)[-1]
    assert (event.name, event.subject) == ("schedule.started", f"schedules/{made.id}")
    assert (event.data["job"], event.data["name"]) == (job.id, "hourly")


def test_a_disabled_schedule_makes_none(
    still: Lab, store: ScheduleStore, tick: Callable[[], None], clock: Clock
) -> None:
    made = store.create(replace(HOURLY, enabled=False))
    clock.pass_by(hours=1)
    tick()
    assert jobs(still, made) == []


def test_a_moment_passes_while_an_earlier_job_runs(
    still: Lab, store: ScheduleStore, tick: Callable[[], None], clock: Clock
) -> None:
    careful = store.create(HOURLY)
    bold = store.create(replace(HOURLY, name="bold", skip_if_running=False))
    for _ in range(2):
        clock.pass_by(hours=1)
        tick()
    (first,) = jobs(still, careful)
    assert len(jobs(still, bold)) == 2
    assert first.id in store.get(careful.id).skipped
    assert store.get(careful.id).runs == 1
    skipped = [e for e in EventLog(still.database).since(0) if e.name == "schedule.skipped"]
    assert [each.data["reason"] for each in skipped] == [store.get(careful.id).skipped]
    finish(still)
    clock.pass_by(hours=1)
    tick()
    assert len(jobs(still, careful)) == 2
    assert store.get(careful.id).skipped == ""


def test_moments_that_nobody_saw(
    still: Lab, store: ScheduleStore, clock: Clock, steady: Steady
) -> None:
    skips = store.create(HOURLY)
    catches = store.create(replace(HOURLY, name="catches", catch_up=CatchUp.ONCE))
    clock.pass_by(hours=5, minutes=30)
    Scheduler(still.database, monotonic=steady).tick()
    assert jobs(still, skips) == []
    assert "no daemon ran at 2026-03-02T13:00" in store.get(skips.id).skipped
    assert len(jobs(still, catches)) == 1
    for made in (skips, catches):
        assert store.get(made.id).next_run == datetime(2026, 3, 2, 18, 0, tzinfo=UTC)


def test_a_moment_that_is_a_little_late_counts(
    still: Lab, store: ScheduleStore, tick: Callable[[], None], clock: Clock
) -> None:
    made = store.create(HOURLY)
    clock.pass_by(hours=1, seconds=50)
    tick()
    assert len(jobs(still, made)) == 1


def test_a_clock_that_is_set_back_brings_no_moment_twice(
    still: Lab, store: ScheduleStore, tick: Callable[[], None], clock: Clock, steady: Steady
) -> None:
    made = store.create(HOURLY)
    for _ in range(2):
        clock.pass_by(hours=1)
        tick()
        finish(still)
    assert len(jobs(still, made)) == 2  # of 13:00 and 14:00
    steady.jump(hours=-1, minutes=-30)  # 12:30
    tick()
    assert store.get(made.id).next_run == datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
    for minutes in (30, 60):
        clock.pass_by(minutes=minutes)
        tick()
        assert len(jobs(still, made)) == 2
        assert "set back" in store.get(made.id).skipped
    clock.pass_by(hours=1)  # 15:00, for the first time
    tick()
    assert len(jobs(still, made)) == 3


def test_a_clock_that_was_wrong_does_not_hold_up_schedules(
    still: Lab, store: ScheduleStore, clock: Clock, steady: Steady
) -> None:
    clock.pass_by(days=400)
    made = store.create(HOURLY)
    clock.pass_by(days=-400)
    Scheduler(still.database, monotonic=steady).tick()
    assert store.get(made.id).next_run == datetime(2026, 3, 2, 13, 0, tzinfo=UTC)


def test_a_clock_that_is_set_ahead_brings_one_moment_at_most(
    still: Lab, store: ScheduleStore, tick: Callable[[], None], steady: Steady
) -> None:
    made = store.create(replace(HOURLY, catch_up=CatchUp.ONCE))
    steady.jump(days=3)
    tick()
    tick()
    assert len(jobs(still, made)) == 1


def test_after_another_schedule(
    still: Lab, store: ScheduleStore, tick: Callable[[], None], clock: Clock
) -> None:
    first = store.create(replace(HOURLY, name="first"))
    then = store.create(replace(HOURLY, name="then", after=(After("first"),), cron="30 * * * *"))
    clock.pass_by(minutes=30)
    tick()
    assert "first has not run yet" in store.get(then.id).skipped
    clock.pass_by(minutes=30)
    tick()  # first's job
    clock.pass_by(minutes=30)
    tick()  # it is not ended: the second waits for it
    (waits,) = jobs(still, then)
    assert waits.state is JobState.SCHEDULED
    assert [each.job for each in waits.depends_on] == [jobs(still, first)[0].id]
    finish(still)
    finish(still)
    assert still.store.get(waits.id).state is JobState.COMPLETED
    store.disable(first.id)
    clock.pass_by(hours=1)
    tick()
    assert "has not ended a job since" in store.get(then.id).skipped
    clock.pass_by(minutes=10)
    store.trigger(first.id)
    finish(still, JobState.FAILED)
    clock.pass_by(minutes=50)
    tick()
    assert "ended as failed" in store.get(then.id).skipped
    assert len(jobs(still, then)) == 1
    store.trigger(first.id)
    finish(still)
    clock.pass_by(hours=1)
    tick()
    assert len(jobs(still, then)) == 2


def test_what_is_wrong_with_a_request_by_now_is_told(
    still: Lab, store: ScheduleStore, clock: Clock, steady: Steady
) -> None:
    def planned(job: NewJob) -> NewJob:
        raise NotFound("there is no hypervisor lab")

    made = store.create(HOURLY)
    clock.pass_by(hours=1)
    Scheduler(still.database, planned=planned, monotonic=steady).tick()
    assert store.get(made.id).skipped == "there is no hypervisor lab"


def test_jobs_are_held_to_their_windows(
    still: Lab, store: ScheduleStore, tick: Callable[[], None], clock: Clock
) -> None:
    made = store.create(replace(HOURLY, windows=(Window(time(13), time(14, 30)),)))
    claims = Claims(still.database, "one")
    claims.register(["default"], 1, "test")
    dispatch = dispatcher(still.database, closed=Windows(still.database).closed).tick
    by_hand = store.trigger(made.id)
    assert dispatch(Room(9, 9)) == ()  # noon: closed
    clock.pass_by(hours=1)
    assert [job.id for job in dispatch(Room(9, 9))] == [by_hand]
    tick()
    assert still.store.get(by_hand).wish is Wish.NONE
    clock.pass_by(hours=1, minutes=30)
    tick()
    assert still.store.get(by_hand).wish is Wish.PAUSE
    claims.finish(RunName(by_hand, 1), Ending(state=JobState.PAUSED))
    tick()
    assert still.store.get(by_hand).state is JobState.PAUSED
    clock.pass_by(hours=22, minutes=30)  # 13:00 of the next day
    tick()
    job = still.store.get(by_hand)
    assert (job.state, job.tags) == (JobState.PENDING, {})


def test_what_a_person_paused_stays_paused_when_a_window_opens(
    still: Lab, store: ScheduleStore, tick: Callable[[], None], clock: Clock
) -> None:
    made = store.create(replace(HOURLY, windows=(Window(time(11), time(13)),)))
    id = store.trigger(made.id)
    still.store.pause(id)
    for hours in (2, 22):
        clock.pass_by(hours=hours)
        tick()
    assert still.store.get(id).state is JobState.PAUSED


def test_a_deleted_schedule_lets_its_jobs_go(
    still: Lab, store: ScheduleStore, tick: Callable[[], None], clock: Clock
) -> None:
    made = store.create(replace(HOURLY, windows=(Window(time(11), time(13)),)))
    id = store.trigger(made.id)
    claims = Claims(still.database, "one")
    claims.register(["default"], 1, "test")
    dispatcher(still.database).tick(Room(9, 9))
    clock.pass_by(hours=2)
    tick()
    claims.finish(RunName(id, 1), Ending(state=JobState.PAUSED))
    store.delete(made.id)
    tick()
    assert still.store.get(id).state is JobState.PENDING


def test_one_scheduler_per_database(url: str) -> None:
    clock = Clock()
    database = Database.open(url, clock=clock)
    lab = Lab(database)
    made = ScheduleStore(database, lab.store).create(replace(HOURLY, skip_if_running=False))
    one, two = Scheduler(database), Scheduler(database)
    one.tick()
    clock.pass_by(hours=1)
    two.tick()
    assert jobs(lab, made) == []
    one.tick()
    assert len(jobs(lab, made)) == 1
    one.stop()
    clock.pass_by(hours=1)
    two.tick()
    assert len(jobs(lab, made)) == 2
    two.stop()
    two.stop()
    database.close()


def test_windows_end_to_end(lab: Lab) -> None:
    """With a worker: a running job is paused, and goes on when the window opens."""
    store = ScheduleStore(lab.database, lab.store)
    now = datetime.now(UTC)
    open_now = Window((now - timedelta(hours=2)).time(), (now + timedelta(hours=2)).time())
    closed_now = Window((now + timedelta(hours=2)).time(), (now + timedelta(hours=4)).time())
    wanted = replace(HOURLY, cron="* * * * *", job=NewJob(kind="sleep", request={"seconds": 60}))
    made = store.create(replace(wanted, windows=(open_now,)))
    scheduler = Scheduler(lab.database, pace=QUICK)
    scheduler.start()
    with lab.worker():
        id = store.trigger(made.id)
        lab.until(id, JobState.RUNNING)
        store.replace(made.id, replace(wanted, windows=(closed_now,), enabled=False), revision=None)
        lab.until(id, JobState.PAUSED)
        store.replace(made.id, replace(wanted, windows=(open_now,), enabled=False), revision=None)
        assert lab.until(id, JobState.RUNNING).run == 2
        lab.store.cancel(id)
        lab.until(id, JobState.CANCELLED)
    scheduler.stop()
