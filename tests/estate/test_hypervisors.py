from __future__ import annotations

import pytest
import sqlalchemy as sa

from hypersdk.config.daemon.estate import BudgetSettings, HypervisorSettings
from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog
from hypersdk.database.tables import job_resources
from hypersdk.estate.hypervisors import HypervisorStore
from hypersdk.model.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    NotAllowed,
    NotFound,
    PreconditionFailed,
)
from hypersdk.model.estate import Budget
from tests.estate.conftest import Clock


@pytest.fixture
def store(database: Database) -> HypervisorStore:
    return HypervisorStore(database)


def test_what_is_made_is_there(store: HypervisorStore, clock: Clock) -> None:
    made = store.create(
        "lab",
        "mock:///srv/lab",
        tenant="red",
        queue="site-a",
        budget=Budget(jobs=4, bandwidth=100),
        host_budget=Budget(jobs=1),
        tags={"site": "a"},
    )
    assert store.get("lab") == made
    assert made.budget == Budget(jobs=4, bandwidth=100)
    assert made.host_budget == Budget(jobs=1)
    assert made.datastore_budget == Budget()
    assert (made.queue, made.tags, made.created) == ("site-a", {"site": "a"}, clock.now)
    assert not made.managed
    with pytest.raises(AlreadyExists, match="'lab' already"):
        store.create("lab", "mock:///other")


def test_what_belongs_to_another_tenant_is_not_there(store: HypervisorStore) -> None:
    store.create("red-lab", "mock:///a", tenant="red")
    store.create("blue-lab", "mock:///b", tenant="blue")
    assert [each.name for each in store.list(tenant="red")] == ["red-lab"]
    assert [each.name for each in store.list()] == ["blue-lab", "red-lab"]
    with pytest.raises(NotFound) as refused:
        store.get("blue-lab", tenant="red")
    assert (
        refused.value.hint
        == "Did you mean red-lab? Hypervisors are listed by: hyperctl hypervisor list"
    )


def test_a_change_leaves_the_rest_and_bears_a_new_revision(
    store: HypervisorStore, clock: Clock
) -> None:
    made = store.create("lab", "mock:///srv/lab", queue="site-a")
    clock.forward(hours=1)
    changed = store.change("lab", revision=made.revision, budget=Budget(jobs=2))
    assert (changed.url, changed.queue, changed.budget) == (made.url, "site-a", Budget(jobs=2))
    assert changed.revision > made.revision
    assert (changed.created, changed.updated) == (made.created, clock.now)
    with pytest.raises(PreconditionFailed):
        store.change("lab", revision=made.revision, description="x")
    assert store.change("lab", budget=Budget(jobs=2)).revision == changed.revision


def test_one_made_anew_has_a_revision_that_never_was(store: HypervisorStore) -> None:
    first = store.create("lab", "mock:///srv/lab")
    store.delete("lab")
    assert store.create("lab", "mock:///srv/other").revision > first.revision


def test_one_in_use_is_not_deleted(store: HypervisorStore, database: Database) -> None:
    store.create("lab", "mock:///srv/lab")
    with database.write() as connection:
        connection.execute(sa.insert(job_resources).values(job="1", resource="hypervisor:lab"))
    with pytest.raises(Conflict, match="1 running jobs use"):
        store.delete("lab")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("srv/lab", "this is no URL"),
        ("vsphere://u:geheim@h/DC", "contains a password"),
        ("vsphere://u@h/DC?token=geheim", "contains a password"),
        ("vsphere://u@h/DC?password-from=geheim", "as a reference"),
        ("vsphere://u@h/DC?password-from=prompt:", "nobody is there"),
        ("vshpere://u@h/DC", "no driver for vshpere"),
    ],
)
def test_urls_that_cannot_be_are_refused(store: HypervisorStore, url: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        store.create("lab", url)
    assert said in str(refused.value)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["mock:///srv/lab", "libvirt+qemu:///system", "vsphere://u@h?password-from=env:X"]
)
def test_a_tenant_gets_no_way_to_the_daemons_own_host(store: HypervisorStore, url: str) -> None:
    with pytest.raises(NotAllowed):
        store.create("lab", url, tenant="red", trusted=False)
    store.create("lab", url, tenant="red")
    # What an administrator made for it, it may describe, and not point elsewhere.
    assert store.change("lab", trusted=False, description="ours").description == "ours"
    with pytest.raises(NotAllowed):
        store.change("lab", trusted=False, url="docker:///var/run/docker.sock")


def test_names_are_safe_in_paths(store: HypervisorStore) -> None:
    for name in ("", "a/b", "../x", "a b", "-x", "x" * 129):
        with pytest.raises(InvalidInput):
            store.create(name, "mock:///x")


def test_those_of_the_settings_file_are_declared_and_read_only(store: HypervisorStore) -> None:
    store.create("own", "mock:///own")
    wanted = {
        "a": HypervisorSettings(url="mock:///a", budget=BudgetSettings(jobs=3)),
        "own": HypervisorSettings(url="mock:///settings"),
    }
    assert store.declare(wanted) == ("a", "own")
    assert store.declare(wanted) == ()
    assert store.get("a").managed
    assert store.get("a").budget == Budget(jobs=3)
    assert store.get("own").url == "mock:///settings"
    for work in (lambda: store.change("a", queue="x"), lambda: store.delete("a")):
        with pytest.raises(Conflict, match="settings file"):
            work()
    assert store.declare({}) == ("a", "own")
    assert store.list() == ()


def test_what_happens_is_told(store: HypervisorStore, database: Database) -> None:
    store.create("lab", "mock:///x", tenant="red")
    store.change("lab", queue="b")
    store.delete("lab")
    told = EventLog(database).since(0)
    assert [each.name for each in told] == [
        "hypervisor.created", "hypervisor.changed", "hypervisor.deleted",
    ]  # fmt: skip
    assert {(each.subject, each.tenant) for each in told} == {("hypervisors/lab", "red")}
