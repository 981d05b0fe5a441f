"""Quotas of tenants, from the request over the worker to what is in the repository."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hypersdk import MockHypervisor, Protect, connect, init_repository
from hypersdk.accounts.quotas import Quotas
from hypersdk.app.budgets import EstateBudgets
from hypersdk.app.jobkinds import make_kinds, planner
from hypersdk.app.stores import Stores, all_tenants, declare, make_stores
from hypersdk.app.usage import Measuring
from hypersdk.config.daemon import DaemonSettings, load_daemon_settings
from hypersdk.database.engine import Database
from hypersdk.jobs.kinds import Kinds, Run
from hypersdk.jobs.pace import Pace
from hypersdk.jobs.scheduler import Scheduler
from hypersdk.jobs.schedules import ScheduleStore
from hypersdk.jobs.store import JobStore
from hypersdk.jobs.worker import Worker
from hypersdk.model.accounts import Quota
from hypersdk.model.errors import QuotaExceeded
from hypersdk.model.estate import Budget
from hypersdk.model.jobs import Job, JobState, NewJob
from hypersdk.model.schedules import NewSchedule
from tests.app.daemons import until

MIB = 1 << 20
PACE = Pace(dispatch=0.05, wishes=0.05, flush=0.1, children=0.05, schedules=0.05)
BACKUP = {"repository": "red-main", "hypervisor": "red-lab", "instance": "web"}


@dataclass
class Site:
    """Tenants ``red`` and ``blue``, each with a hypervisor, a repository and instance ``web``."""

    root: Path
    settings: DaemonSettings
    stores: Stores
    #: Moments of the clock that events are stored by.
    clock: list[timedelta]
    kinds: Kinds = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = make_kinds(self.settings, self.stores)
        self.jobs = JobStore(self.stores.database)
        self.quotas = Quotas(self.stores.database)

    def quota(self, tenant: str = "red", **most: int) -> None:
        self.stores.tenants.change(tenant, quota=Quota(**most))

    def changed(self) -> None:
        """The guest of ``red`` wrote all of its data anew."""
        mock = connect(f"mock://{self.root}/red-lab")
        assert isinstance(mock, MockHypervisor)
        with mock.guest("web", "vda") as guest:
            guest.write(0, random.Random(9).randbytes(2 * MIB))

    def planned(self, kind: str, request: Mapping[str, Any], tenant: str = "red") -> NewJob:
        """As its caller's request is, without what the API refuses."""
        plan = self.kinds[kind].plan(request)
        return NewJob(
            kind=kind,
            request=request,
            name=plan.name,
            tenant=tenant,
            resources=self.kinds.resources(kind, plan, tenant),
        )

    def submit(self, kind: str, request: Mapping[str, Any], tenant: str = "red") -> str:
        return self.jobs.submit([self.planned(kind, request, tenant)])[0].id

    @contextmanager
    def working(self, *, slots: int = 4, kinds: Kinds | None = None) -> Iterator[Worker]:
        stores = self.stores
        budgets = EstateBudgets(
            stores.hypervisors.list, stores.repositories.list, lambda: all_tenants(stores.tenants)
        )
        budgets.refresh()
        worker = Worker(
            stores.database, kinds or self.kinds, id="w", queues=("default",), slots=slots,
            budgets=budgets, version="test", pace=PACE,
        )  # fmt: skip
        worker.start()
        try:
            yield worker
        finally:
            worker.stop()

    def ended(self, id: str) -> Job:
        job: Job = until(
            lambda: (found := self.jobs.get(id)).state.ended and found, f"the end of {id}"
        )
        return job

    def done(self, id: str) -> Mapping[str, Any]:
        job = self.ended(id)
        assert job.state is JobState.COMPLETED, job.error
        assert job.result is not None
        return job.result

    def stored(self, repository: str) -> int:
        with self.stores.connections.using_repository(repository) as opened:
            return opened.statistics().stored

    def told(self) -> list[str]:
        return [event.name for event in self.stores.events.since(0)]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    settings = load_daemon_settings(
        state_dir=str(tmp_path / "state"),
        folders={"allowed": [str(tmp_path / "files")]},
        hypervisors={
            f"{tenant}-lab": {"url": f"mock://{tmp_path}/{tenant}-lab", "tenant": tenant}
            for tenant in ("red", "blue")
        },
        repositories={
            f"{tenant}-main": {"location": f"{tmp_path}/{tenant}-main", "tenant": tenant}
            for tenant in ("red", "blue")
        },
    )
    (tmp_path / "state").mkdir()
    clock = [timedelta()]
    database = Database.open(settings.database, clock=lambda: datetime.now(UTC) + clock[0])
    stores = make_stores(settings, database)
    for seed, tenant in enumerate(("red", "blue")):
        stores.tenants.create(tenant)
        mock = connect(f"mock://{tmp_path}/{tenant}-lab")
        assert isinstance(mock, MockHypervisor)
        mock.create_instance("web", {"vda": 4 * MIB})
        with mock.guest("web", "vda") as guest:
            guest.write(0, random.Random(seed).randbytes(2 * MIB))
        init_repository(str(tmp_path / f"{tenant}-main"), protect=Protect.none()).close()
    declare(stores, settings)
    yield Site(tmp_path, settings, stores, clock)
    stores.connections.close()
    database.close()


# Bytes.


def test_what_backups_store_counts_until_the_tenant_has_used_up_what_it_may(site: Site) -> None:
    site.quota(bytes=MIB)
    second = {**BACKUP, "full": True}
    with site.working():
        made = site.done(site.submit("backup", BACKUP))
        assert made["stored"] >= 2 * MIB
        assert site.quotas.used("red").bytes == made["stored"]
        assert site.quotas.used("blue").bytes == 0
        # The job looks itself: it may have been submitted while there was room.
        failed = site.ended(site.submit("backup", second))
        assert failed.error is not None
        assert failed.error.kind == "QuotaExceeded"
        assert failed.run == 1  # trying again would not help
        # What stores nothing goes on, and so do others.
        site.done(site.submit("verify", {"repository": "red-main"}))
        other = {"repository": "blue-main", "hypervisor": "blue-lab", "instance": "web"}
        site.done(site.submit("backup", other, "blue"))
        site.quota(bytes=100 * MIB)
        site.changed()
        more = site.done(site.submit("backup", second))
    assert more["stored"] >= MIB
    assert site.quotas.used("red").bytes == made["stored"] + more["stored"]
    assert site.told().count("backup.completed") == 3
    assert site.told().count("backup.failed") == 1


def test_an_administrators_backup_counts_for_the_tenant_of_the_repository(site: Site) -> None:
    site.quota(bytes=1)
    with site.working():
        made = site.done(site.submit("backup", BACKUP, ""))
        assert site.quotas.used("red").bytes == made["stored"]
        failed = site.ended(site.submit("backup", {**BACKUP, "full": True}, ""))
        assert failed.state is JobState.FAILED


def test_what_garbage_collection_gives_back_is_given_back_to_the_tenant(site: Site) -> None:
    with site.working():
        site.done(site.submit("backup", BACKUP))
        site.changed()
        site.done(site.submit("backup", BACKUP))
        before = site.quotas.used("red").bytes
        site.done(site.submit("prune", {"repository": "red-main", "keep": {"last": 1}}))
        assert site.quotas.used("red").bytes == site.stored("red-main")
        site.done(site.submit("gc", {"repository": "red-main", "grace": "0h", "dry_run": True}))
        freed = site.done(site.submit("gc", {"repository": "red-main", "grace": "0h"}))
    assert freed["freed"] > MIB
    after = site.quotas.used("red").bytes
    assert after == site.stored("red-main")
    assert after < before - MIB


def test_repositories_are_measured_now_and_then(site: Site) -> None:
    database, stores = site.stores.database, site.stores
    with site.working():
        site.done(site.submit("backup", BACKUP))
    site.quotas.measured("red", bytes=5)
    measuring = Measuring(database, stores.usage, lambda: all_tenants(stores.tenants))
    measuring.turn()
    assert site.quotas.used("red").bytes == site.stored("red-main")
    # Another worker leaves it to this one.
    site.quotas.measured("red", bytes=5)
    second = Measuring(database, stores.usage, lambda: all_tenants(stores.tenants))
    second.turn()
    assert site.quotas.used("red").bytes == 5
    measuring.stop()
    second.turn()
    assert site.quotas.used("red").bytes == site.stored("red-main")
    # What cannot be asked leaves what was known.
    stores.connections.close()
    shutil.rmtree(site.root / "red-main")
    second.turn()
    assert site.quotas.used("red").bytes > MIB
    second.stop()


def test_a_schedule_passes_over_a_moment_without_room(site: Site) -> None:
    site.quota(bytes=1)
    site.quotas.grew("red", bytes=1)
    planned = planner(site.kinds, site.stores)
    job = site.planned("backup", BACKUP)
    with pytest.raises(QuotaExceeded):
        planned(job)
    schedules = ScheduleStore(site.stores.database, site.jobs, planned)
    made = schedules.create(NewSchedule(name="nightly", cron="0 2 * * *", job=job, tenant="red"))
    scheduler = Scheduler(site.stores.database, site.jobs, planned=planned, pace=PACE)
    scheduler.tick()
    assert made.next_run is not None
    site.clock[0] = made.next_run - datetime.now(UTC) + timedelta(seconds=5)
    scheduler.tick()
    scheduler.stop()
    found = schedules.get(made.id)
    assert "1 of 1 bytes" in found.skipped
    assert "schedule.skipped" in site.told()
    assert site.jobs.counts()[JobState.PENDING] == 0


def test_a_schedule_that_makes_an_instance_is_asked_too(site: Site) -> None:
    site.quota(instances=1)
    site.quotas.grew("red", instances=1)
    request = {"repository": "red-main", "instance": "web", "to_hypervisor": "red-lab"}
    with pytest.raises(QuotaExceeded):
        planner(site.kinds, site.stores)(site.planned("restore", request))


# Instances.


def test_instances_that_jobs_make_and_delete_count(site: Site) -> None:
    site.quota(instances=2)
    restore = {"repository": "red-main", "instance": "web", "to_hypervisor": "red-lab"}
    delete = {"hypervisor": "red-lab", "operation": "delete", "storage": True}
    with site.working():
        site.done(site.submit("inventory", {}))
        assert site.quotas.used("red").instances == 1
        site.done(site.submit("backup", BACKUP))
        again = {**restore, "new_name": "again", "start": True}
        site.done(site.submit("restore", again))
        assert site.quotas.used("red").instances == 2
        failed = site.ended(site.submit("restore", {**restore, "new_name": "third"}))
        assert failed.error is not None
        assert failed.error.kind == "QuotaExceeded"
        # In place of one that is there it adds none.
        site.done(site.submit("lifecycle", {"hypervisor": "red-lab", "instance": "again",
                                            "operation": "stop", "force": True}))  # fmt: skip
        replacing = {**restore, "new_name": "again", "overwrite": True}
        site.done(site.submit("restore", replacing))
        assert site.quotas.used("red").instances == 2
        site.done(site.submit("lifecycle", {**delete, "instance": "again"}))
        assert site.quotas.used("red").instances == 1
        image = site.root / "files/red/disk.img"
        image.parent.mkdir(parents=True)
        image.write_bytes(b"x" * MIB)
        imported = {"hypervisor": "red-lab", "source": str(image), "disk_format": "raw"}
        site.done(site.submit("import", {**imported, "name": "brought", "start": True}))
        assert site.quotas.used("red").instances == 2
        failed = site.ended(site.submit("import", {**imported, "name": "more"}))
        assert failed.error is not None
        assert failed.error.kind == "QuotaExceeded"
        site.done(site.submit("inventory", {}))
        assert site.quotas.used("red").instances == 2


def test_an_inventory_says_how_many_there_are_of_those_it_saw_whole(site: Site) -> None:
    site.quotas.measured("red", instances=7)
    site.quotas.measured("blue", instances=7)
    with site.working():
        site.done(site.submit("inventory", {"hypervisor": "red-lab"}, ""))
        assert site.quotas.used("red").instances == 1
        assert site.quotas.used("blue").instances == 7
        site.done(site.submit("inventory", {}, ""))
    assert site.quotas.used("blue").instances == 1
    told = [event for event in site.stores.events.since(0) if event.name == "inventory.refreshed"]
    assert {(each.subject, each.tenant) for each in told} == {
        ("hypervisors/red-lab", "red"),
        ("hypervisors/blue-lab", "blue"),
    }


# Jobs at once.


@dataclass
class Counting:
    """A kind that notes how many jobs of each tenant run at once."""

    name: str
    inner: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    now: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    #: Tenant → jobs of it that wait for each other, so that they do run at once.
    meet: dict[str, int] = field(default_factory=dict)
    summary: str = "Counts."
    waits: bool = False

    def plan(self, request: Mapping[str, Any]) -> Any:
        return self.inner.plan(request)

    def places(self, request: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(self.inner.places(request))

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        tenant = run.job.tenant
        with self.lock:
            self.now[tenant] = self.now.get(tenant, 0) + 1
            self.most[tenant] = max(self.most.get(tenant, 0), self.now[tenant])
        try:
            until(lambda: self.most[tenant] >= self.meet.get(tenant, 1), "the others")
            threading.Event().wait(0.15)  # long enough that more would begin
            return dict(self.inner.work(request, run))
        finally:
            with self.lock:
                self.now[tenant] -= 1


def counting(site: Site, kind: str) -> tuple[Counting, Kinds]:
    made = Counting(kind, site.kinds[kind])
    return made, replace(site.kinds, known={**site.kinds.known, kind: made})


def test_a_tenant_runs_so_many_jobs_at_once_and_others_go_on(site: Site) -> None:
    site.quota(jobs=2)
    counted, kinds = counting(site, "inventory")
    counted.meet.update(red=2, blue=4)
    ids = [
        site.submit("inventory", {"hypervisor": f"{tenant}-lab"}, tenant)
        for tenant in ["red"] * 8 + ["blue"] * 4
    ]
    with site.working(slots=8, kinds=kinds):
        for id in ids:
            site.done(id)
    assert counted.most == {"red": 2, "blue": 4}


def test_a_batch_of_a_tenant_with_one_job_at_once_ends(site: Site) -> None:
    site.quota(jobs=1)
    mock = connect(f"mock://{site.root}/red-lab")
    assert isinstance(mock, MockHypervisor)
    for number in range(3):
        mock.create_instance(f"web-{number}", {"vda": MIB})
    request = {"operation": "backup", "hypervisor": "red-lab", "match": "*",
               "options": {"repository": "red-main"}}  # fmt: skip
    with site.working():
        done = site.done(site.submit("batch", request))
    assert (done["completed"], done["failed"]) == (4, 0)


def test_a_batch_of_backups_is_refused_as_a_backup_is(site: Site) -> None:
    request = {"operation": "backup", "hypervisor": "red-lab", "match": "*",
               "options": {"repository": "red-main"}}  # fmt: skip
    assert site.kinds["batch"].plan(request).stores == "red-main"
    stop = {"operation": "stop", "hypervisor": "red-lab", "match": "*"}
    assert site.kinds["batch"].plan(stop).stores == ""


# Places.


@pytest.mark.parametrize("budget", ["host_budget", "datastore_budget"])
def test_a_host_or_a_datastore_has_room_for_so_many_jobs(site: Site, budget: str) -> None:
    mock = connect(f"mock://{site.root}/shared")
    assert isinstance(mock, MockHypervisor)
    for number in range(5):
        mock.create_instance(f"vm-{number}", {"vda": MIB})
    fields: dict[str, Any] = {budget: Budget(jobs=1)}
    site.stores.hypervisors.create("shared", f"mock://{site.root}/shared", **fields)
    counted, kinds = counting(site, "snapshot")
    ids = [
        site.submit("snapshot", {"hypervisor": "shared", "instance": f"vm-{number}"}, "")
        for number in range(5)
    ]
    with site.working(kinds=kinds):
        for id in ids:
            site.done(id)
    assert counted.most[""] == 1
    kind = budget.partition("_")[0]
    held = [each for each in site.jobs.get(ids[0]).resources if each.startswith(f"{kind}:shared/")]
    assert len(held) == 1
