"""Budgets of hosts and datastores, which only hypervisors know of."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from hypersdk.database.tables import job_resources
from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.claims import Claims, Ending, RunName
from hypersdk.jobs.dispatcher import Dispatcher, Room
from hypersdk.jobs.kinds import Kinds, Placed
from hypersdk.jobs.whereabouts import FRESH, STALE, Whereabouts
from hypersdk.model.errors import HypervisorUnreachable
from hypersdk.model.estate import Budget
from hypersdk.model.jobs import Job, JobState
from tests.jobs.lab import Lab, Scripted, eventually, known, sleep

MUCH = Room(slots=100, waiting=100)
#: One job at once on each host of ``lab``.
ONE_PER_HOST = FixedBudgets(
    {f"host:lab/{name}": Budget(jobs=1) for name in ("", "esx1", "esx2", "esx3")}
)
LAB = ("hypervisor:lab",)


@dataclass
class Export(Scripted):
    """Its requests say where their instances are: a host, or ``fail``; ``where`` may move them."""

    name: str = "export"
    do: Callable[..., Mapping[str, Any]] = sleep
    where: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    #: Not set: the hypervisor hangs.
    answers: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    def places(self, request: Mapping[str, Any]) -> tuple[str, ...]:
        host = self.where.get(request["host"], request["host"])
        self.asked.append(host)
        assert self.answers.wait(30)
        if host == "fail":
            raise HypervisorUnreachable("it is away", hint="Wait.")
        return (f"host:lab/{host}",)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Site:
    """Workers that ask, and those that just dispatch."""

    lab: Lab
    export: Export = field(default_factory=Export)
    clock: Clock = field(default_factory=Clock)
    budgets: FixedBudgets = ONE_PER_HOST

    def dispatcher(self, worker: str = "one") -> Dispatcher:
        kinds: Kinds = known(self.export)
        return Dispatcher(
            database=self.lab.database,
            worker=worker,
            queues=("default",),
            kinds=kinds,
            budgets=self.budgets,
            batch=100,
            whereabouts=Whereabouts(self.lab.database, kinds, self.budgets, clock=self.clock),
        )

    def submit(self, host: str, **options: Any) -> str:
        return self.lab.submit("export", request={"host": host}, resources=LAB, **options)

    def held(self) -> list[tuple[str, str]]:
        with self.lab.database.read() as connection:
            return sorted(
                (row.job, row.resource) for row in connection.execute(job_resources.select())
            )

    def end(self, job: Job, state: JobState = JobState.COMPLETED) -> None:
        claims = Claims(self.lab.database, job.worker)
        claims.register(["default"], 1, "test")
        assert claims.finish(RunName(job.id, job.run), Ending(state=state))


@pytest.fixture
def site(both: Lab) -> Site:
    return Site(both)


def claimed(dispatcher: Dispatcher, count: int = 1) -> list[Job]:
    """So many, however often it has to look."""
    found: list[Job] = []

    def look() -> bool:
        found.extend(dispatcher.tick(MUCH))
        return len(found) >= count

    eventually(look, what=lambda: f"{found}")
    return found


def settled(site: Site, dispatcher: Dispatcher, asked: int) -> tuple[Job, ...]:
    """What a look claims once so many answers are there."""
    found = list(dispatcher.tick(MUCH))
    known = dispatcher.whereabouts
    assert known is not None
    eventually(lambda: len(site.export.asked) >= asked)
    eventually(lambda: not any(each.asking for each in known._known.values()))
    return (*found, *dispatcher.tick(MUCH))


def test_it_is_of_the_port() -> None:
    assert isinstance(Export(), Placed)


def test_a_host_has_room_for_so_many_across_workers(site: Site) -> None:
    first, second, other = site.submit("esx1"), site.submit("esx1"), site.submit("esx2")
    one, two = site.dispatcher("one"), site.dispatcher("two")
    running = claimed(one, 2)
    assert {job.id for job in running} == {first, other}
    assert (first, "host:lab/esx1") in site.held()
    assert (first, "hypervisor:lab") in site.held()
    assert running[0].resources == ("hypervisor:lab", "host:lab/esx1")
    # Neither the same worker nor another one has room for the second.
    assert settled(site, one, 3) == ()
    assert settled(site, two, 4) == ()
    waiting = site.lab.store.get(second)
    assert (waiting.state, waiting.run) == (JobState.PENDING, 0)
    site.end(running[0])
    (job,) = claimed(two)
    assert (job.id, job.run) == (second, 1)


def test_without_such_budgets_nobody_is_asked(site: Site) -> None:
    site.budgets = FixedBudgets({"hypervisor:lab": Budget(jobs=1), "host:else/": Budget(jobs=1)})
    site.submit("esx1")
    (job,) = site.dispatcher().tick(MUCH)
    assert job.resources == LAB
    assert site.export.asked == []


def test_a_bandwidth_of_hosts_is_shared_too(site: Site) -> None:
    site.budgets = FixedBudgets({"host:lab/": Budget(bandwidth=1000)})
    site.submit("esx1")
    (job,) = claimed(site.dispatcher())
    assert "host:lab/esx1" in job.resources


def test_one_that_cannot_be_asked_begins_all_the_same(site: Site) -> None:
    id = site.submit("fail")
    (job,) = claimed(site.dispatcher())
    assert (job.id, job.resources) == (id, LAB)


def test_one_that_hangs_is_waited_for_so_long_only(site: Site) -> None:
    site.export.answers.clear()
    try:
        id = site.submit("esx1")
        dispatcher = site.dispatcher()
        assert dispatcher.tick(MUCH) == ()
        site.clock.now += 9
        assert dispatcher.tick(MUCH) == ()
        site.clock.now += 2
        (job,) = claimed(dispatcher)
        assert (job.id, job.resources) == (id, LAB)
        assert eventually(lambda: site.export.asked) == ["esx1"]
    finally:
        site.export.answers.set()


def test_one_that_is_asked_about_keeps_its_place_and_the_rest_goes_on(site: Site) -> None:
    site.export.answers.clear()
    try:
        first = site.submit("esx1", priority=90)
        last = site.lab.submit()
        dispatcher = site.dispatcher()
        assert dispatcher.tick(Room(1, 0)) == ()
        (job,) = dispatcher.tick(Room(2, 0))
        assert job.id == last
    finally:
        site.export.answers.set()
    (job,) = claimed(dispatcher)
    assert job.id == first


def test_instances_move(site: Site) -> None:
    running = claimed(site.dispatcher(), 1) if site.submit("esx1") else []
    second = site.submit("esx1")
    dispatcher = site.dispatcher("two")
    assert settled(site, dispatcher, 2) == ()
    site.export.where["esx1"] = "esx2"
    # What holds it back is not asked again and again.
    site.clock.now += FRESH + 1
    assert dispatcher.tick(MUCH) == ()
    assert len(site.export.asked) == 2
    site.clock.now += STALE
    (job,) = claimed(dispatcher)
    assert (job.id, job.resources) == (second, (*LAB, "host:lab/esx2"))
    # A later run asks anew, and forgets where it was.
    site.end(job, JobState.PENDING)
    site.export.where["esx1"] = "esx3"
    site.clock.now += FRESH + 1
    (job,) = claimed(dispatcher)
    assert (job.run, job.resources) == (2, (*LAB, "host:lab/esx3"))
    assert len(running) == 1


def test_an_old_answer_is_asked_for_again_before_it_begins(site: Site) -> None:
    running = claimed(site.dispatcher(), 1) if site.submit("esx1") else []
    site.submit("esx1")
    dispatcher = site.dispatcher("two")
    assert settled(site, dispatcher, 2) == ()
    site.export.where["esx1"] = "esx2"
    site.clock.now += FRESH + 1
    site.end(running[0])
    (job,) = claimed(dispatcher)
    assert job.resources == (*LAB, "host:lab/esx2")


def test_under_the_real_worker(lab: Lab) -> None:
    export = Export()
    most, running = [0], [0]
    lock = threading.Lock()

    def work(request: Mapping[str, Any], run: Any) -> Mapping[str, Any]:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.05)
        with lock:
            running[0] -= 1
        return {}

    export.do = work
    ids = [
        lab.submit("export", request={"host": "esx1"}, resources=LAB, priority=n) for n in range(5)
    ]
    with lab.worker(export, slots=4, budgets=ONE_PER_HOST):
        for id in ids:
            assert lab.until(id).state is JobState.COMPLETED
    assert most == [1]
