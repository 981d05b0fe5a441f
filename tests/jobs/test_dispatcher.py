from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import timedelta

import pytest

from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog
from hypersdk.database.tables import job_resources
from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.claims import Claims, Ending, RunName
from hypersdk.jobs.dispatcher import Dispatcher, Room
from hypersdk.model.estate import Budget
from hypersdk.model.jobs import Dependency, Job, JobState, NewJob, Required
from tests.jobs.conftest import Clock
from tests.jobs.lab import Lab, known

MUCH = Room(slots=100, waiting=100)


def dispatcher(database: Database, worker: str = "one", **options: object) -> Dispatcher:
    given = {"queues": ("default",), "budgets": FixedBudgets(), "batch": 100, **options}
    return Dispatcher(database=database, worker=worker, kinds=known(), **given)  # type: ignore[arg-type]


def ids(jobs: Collection[Job]) -> list[str]:
    return [job.id for job in jobs]


def end(lab: Lab, job: Job, state: JobState = JobState.COMPLETED) -> None:
    claims = Claims(lab.database, job.worker)
    claims.register(["default"], 1, "test")
    assert claims.finish(RunName(job.id, job.run), Ending(state=state))


def test_greatest_priority_first_then_oldest(both: Lab) -> None:
    low, first, second, high = (both.submit(priority=p) for p in (10, 50, 50, 90))
    tick = dispatcher(both.database).tick
    assert ids(tick(Room(3, 0))) == [high, first, second]
    assert ids(tick(Room(0, 0))) == []
    assert ids(tick(Room(1, 0))) == [low]


def test_a_claimed_job_runs_for_its_worker(both: Lab) -> None:
    id = both.submit(resources=("hypervisor:lab", "hypervisor:lab", "repository:main"))
    (job,) = dispatcher(both.database, "me").tick(MUCH)
    assert job == both.store.get(id)
    assert (job.state, job.worker, job.run, job.wish.value) == (JobState.RUNNING, "me", 1, "")
    assert job.started is not None
    with both.database.read() as connection:
        held = connection.execute(job_resources.select()).all()
    assert sorted(held) == [(id, "hypervisor:lab"), (id, "repository:main")]
    assert EventLog(both.database).since(0)[-1].name == "job.started"


def test_only_own_queues_and_known_kinds(both: Lab) -> None:
    mine = both.submit(queue="site-a")
    both.submit(queue="site-b")
    both.submit("of a later version", queue="site-a")
    assert ids(dispatcher(both.database, queues=("site-a", "site-c")).tick(MUCH)) == [mine]


def test_a_full_budget_holds_back_its_own_jobs_only(both: Lab) -> None:
    budgets = FixedBudgets({"hypervisor:lab": Budget(jobs=2), "repository:main": Budget(jobs=1)})
    tick = dispatcher(both.database, budgets=budgets).tick
    many = [both.submit(priority=90, resources=("hypervisor:lab",)) for _ in range(4)]
    other = both.submit(priority=10, resources=("hypervisor:else", "repository:main"))
    last = both.submit(priority=5, resources=("hypervisor:else", "repository:main"))
    claimed = tick(MUCH)
    assert ids(claimed) == [many[0], many[1], other]
    assert tick(MUCH) == ()
    end(both, claimed[0])
    assert ids(tick(MUCH)) == [many[2]]
    end(both, claimed[2])
    assert ids(tick(MUCH)) == [last]


def test_so_many_begin_within_a_minute(still: Lab, clock: Clock) -> None:
    """Those that ended meanwhile count, and those of other resources do not."""
    budgets = FixedBudgets({"hypervisor:lab": Budget(starts=2)})
    tick = dispatcher(still.database, budgets=budgets).tick
    many = [still.submit(resources=("hypervisor:lab",)) for _ in range(5)]
    other = still.submit(resources=("hypervisor:else",))
    claimed = tick(MUCH)
    assert ids(claimed) == [*many[:2], other]
    end(still, claimed[0])
    assert tick(MUCH) == ()
    clock.pass_by(seconds=61)
    assert ids(tick(MUCH)) == many[2:4]


def test_later_jobs_pass_however_many_are_held_back(both: Lab) -> None:
    budgets = FixedBudgets({"hypervisor:full": Budget(jobs=0)})
    both.store.submit([NewJob(kind="sleep", request={}, resources=("hypervisor:full",))] * 450)
    free = both.submit()
    assert ids(dispatcher(both.database, budgets=budgets).tick(Room(1, 0))) == [free]


def test_kinds_that_wait_take_no_slot(both: Lab) -> None:
    parent = both.submit("batch", priority=1)
    child = both.submit()
    tick = dispatcher(both.database).tick
    assert ids(tick(Room(slots=0, waiting=1))) == [parent]
    assert ids(tick(Room(slots=1, waiting=0))) == [child]


def test_no_more_than_a_batch_at_once(lab: Lab) -> None:
    for _ in range(5):
        lab.submit()
    tick = dispatcher(lab.database, batch=2).tick
    assert [len(tick(MUCH)) for _ in range(4)] == [2, 2, 1, 0]


def test_jobs_of_closed_windows_wait(lab: Lab) -> None:
    lab.submit(schedule="night")
    day = lab.submit(schedule="day")
    free = lab.submit()

    def closed(schedules: Collection[str]) -> frozenset[str]:
        return frozenset({"night"}) & frozenset(schedules)

    assert ids(dispatcher(lab.database, closed=closed).tick(MUCH)) == [day, free]


def test_a_job_waits_for_its_moment(still: Lab, clock: Clock) -> None:
    id = still.submit(not_before=clock.now + timedelta(minutes=5))
    tick = dispatcher(still.database).tick
    assert tick(MUCH) == ()
    clock.pass_by(minutes=5)
    assert ids(tick(MUCH)) == [id]


def test_a_job_waits_for_others(both: Lab) -> None:
    first = both.submit()
    id = both.submit(depends_on=(Dependency(first),), priority=100)
    tick = dispatcher(both.database).tick
    (job,) = tick(MUCH)
    assert job.id == first
    assert both.store.get(id).state is JobState.SCHEDULED
    end(both, job)
    assert ids(tick(MUCH)) == [id]


@pytest.mark.parametrize(
    ("required", "ended", "then"),
    [
        (Required.COMPLETED, JobState.FAILED, JobState.FAILED),
        (Required.COMPLETED, JobState.CANCELLED, JobState.FAILED),
        (Required.FAILED, JobState.FAILED, JobState.RUNNING),
        (Required.FAILED, JobState.COMPLETED, JobState.FAILED),
        (Required.ANY, JobState.CANCELLED, JobState.RUNNING),
    ],
)
def test_how_others_have_to_end(
    both: Lab, required: Required, ended: JobState, then: JobState
) -> None:
    first = both.submit()
    id = both.submit(depends_on=(Dependency(first, required),))
    tick = dispatcher(both.database).tick
    end(both, tick(MUCH)[0], ended)
    tick(MUCH)
    job = both.store.get(id)
    assert job.state is then
    if then is JobState.FAILED:
        assert job.error is not None
        assert first in job.error.message
        assert ended.value in job.error.message
        assert job.ended is not None
        assert EventLog(both.database).since(0)[-1].name == "job.failed"
        # By hand it runs all the same.
        both.store.retry(id)
        assert ids(tick(MUCH)) == [id]


def test_a_job_that_is_not_there_is_not_waited_for(lab: Lab) -> None:
    id = lab.submit(depends_on=(Dependency("forgotten"),))
    free = lab.submit(depends_on=(Dependency("forgotten", Required.ANY),))
    assert ids(dispatcher(lab.database).tick(MUCH)) == [free]
    error = lab.store.get(id).error
    assert error is not None
    assert "forgotten" in error.message


def test_an_idle_dispatcher_writes_nothing(lab: Lab) -> None:
    lab.submit(queue="elsewhere")
    lab.submit(not_before=lab.database.now() + timedelta(hours=1))
    tick = dispatcher(lab.database).tick
    with lab.database.write():  # nobody else could write now
        assert tick(MUCH) == ()


def test_many_dispatchers_never_overdraw_a_budget_nor_claim_twice(both: Lab) -> None:
    budgets = FixedBudgets({"hypervisor:lab": Budget(jobs=7)})
    both.store.submit([NewJob(kind="sleep", request={}, resources=("hypervisor:lab",))] * 20)
    both.store.submit([NewJob(kind="sleep", request={})] * 20)
    claimed: list[Job] = []
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            one = dispatcher(both.database, name, budgets=budgets, batch=3)
            for _ in range(12):
                claimed.extend(one.tick(MUCH))
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(claimed) == len({job.id for job in claimed}) == 27
    assert sum("hypervisor:lab" in job.resources for job in claimed) == 7
