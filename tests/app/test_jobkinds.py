from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.app.jobkinds import _folders, make_kinds, planner
from hypersdk.app.stores import Stores, all_tenants, declare, make_stores
from hypersdk.config.daemon import DaemonSettings, load_daemon_settings
from hypersdk.database.engine import Database
from hypersdk.model.errors import InvalidInput, NotFound
from hypersdk.model.jobs import NewJob


@pytest.fixture
def settings(tmp_path: Path) -> DaemonSettings:
    return load_daemon_settings(
        state_dir=str(tmp_path),
        hypervisors={"lab": {"url": f"mock://{tmp_path}/lab", "queue": "site-a"}},
        repositories={"main": f"{tmp_path}/repository"},
        webhooks=[{"name": "chat", "url": "https://93.184.216.34/x"}],
    )


@pytest.fixture
def stores(settings: DaemonSettings) -> Iterator[Stores]:
    database = Database.open(settings.database)
    yield make_stores(settings, database)
    database.close()


def test_what_stands_in_the_settings_is_in_the_stores(
    settings: DaemonSettings, stores: Stores
) -> None:
    assert declare(stores, settings) == ("hypervisors.lab", "repositories.main", "webhooks.chat")
    assert declare(stores, settings) == ()
    assert stores.connections.hypervisor_record("lab").queue == "site-a"


def test_a_webhook_into_our_own_network_has_to_be_allowed(stores: Stores) -> None:
    hook = {"name": "chat", "url": "http://10.0.0.1/x"}
    with pytest.raises(InvalidInput, match="private address"):
        declare(stores, load_daemon_settings(webhooks=[hook]))
    allowed = load_daemon_settings(webhooks=[hook], webhooks_allow_private=True)
    assert declare(stores, allowed) == ("webhooks.chat",)


def test_jobs_of_schedules_are_planned_when_their_moment_comes(
    settings: DaemonSettings, stores: Stores
) -> None:
    planned = planner(make_kinds(settings, stores), stores)
    request = {"hypervisor": "lab", "instance": "web", "repository": "main"}
    job = NewJob(kind="backup", request=request, tenant="")
    with pytest.raises(NotFound):
        planned(job)
    declare(stores, settings)
    made = planned(job)
    assert made.queue == "site-a"
    assert made.resources == ("hypervisor:lab", "repository:main")
    assert made.name
    assert planned(NewJob(kind="backup", request=request, name="mine", tenant="red")).resources == (
        "hypervisor:lab", "repository:main", "tenant:red",
    )  # fmt: skip


def test_paths_are_free_until_folders_are_named(settings: DaemonSettings, stores: Stores) -> None:
    request = {"source": "/srv/a.qcow2", "target": "/srv/b.raw", "target_format": "raw"}
    free = make_kinds(settings, stores)["convert"]
    assert free.plan(request).name
    bounded = load_daemon_settings(
        state_dir=str(settings.state_dir), folders={"allowed": ["/srv/images"]}
    )
    assert _folders(bounded).allowed[-1] == Path("/srv/images")
    assert settings.state_dir / "exports" in _folders(bounded).allowed
    assert _folders(settings).allowed == ()


def test_all_tenants_page_by_page(stores: Stores) -> None:
    for number in range(5):
        stores.tenants.create(f"t{number}")
    assert [each.name for each in all_tenants(stores.tenants)] == [f"t{n}" for n in range(5)]
