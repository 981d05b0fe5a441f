"""The typed client and the real API."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hypersdk.client import Client
from hypersdk.contract.accounts import NewTenant, NewToken, NewUser
from hypersdk.contract.estate import (
    HypervisorChange,
    NewHypervisor,
    NewRepository,
    NewWebhook,
    RepositoryChange,
    WebhookChange,
)
from hypersdk.contract.instances import SnapshotOrder
from hypersdk.contract.jobs import NewJobRecord, NewScheduleRecord
from hypersdk.model.accounts import Role
from hypersdk.model.errors import DaemonRefused
from tests.api.serving import Daemon, serving

LOOK = NewJobRecord(kind="inventory", request={"hypervisor": "lab"}, dedup="")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with serving(tmp_path_factory.mktemp("daemon")) as found:
        yield found


@pytest.fixture
def client(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.delenv("HYPERCTL_TOKEN", raising=False)
    with Client(daemon.url) as found:
        yield found


def test_the_daemon_itself(client: Client, daemon: Daemon) -> None:
    assert client.status().user == "local"
    assert client.version().version
    assert client.workers() == ()
    assert client.reload() == ("log_level",)
    assert daemon.reloads


def test_jobs(client: Client) -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    one = client.jobs.submit("inventory", {"hypervisor": "lab"}, dedup="", not_before=moment)
    job = client.jobs.get(one.id)
    assert (job.state, job.not_before) == ("scheduled", moment)
    assert client.jobs.prioritise(one.id, 7).priority == 7
    assert client.jobs.pause(one.id).state == "paused"
    assert client.jobs.resume(one.id).state == "pending"
    assert client.jobs.cancel(one.id).state == "cancelled"
    assert client.jobs.retry(one.id).id == one.id
    client.jobs.cancel(one.id)
    assert client.jobs.wait(one.id).state == "cancelled"
    assert list(client.jobs.logs(one.id)) == []
    client.jobs.delete(one.id)
    with pytest.raises(DaemonRefused) as caught:
        client.jobs.get(one.id)
    assert (caught.value.status, caught.value.kind) == (404, "NotFound")
    assert "backup" in {kind.name for kind in client.jobs.kinds()}


def test_several_jobs(client: Client) -> None:
    outcome = client.jobs.submit_all([LOOK, {"kind": "nope", "request": {}}, LOOK])
    assert (outcome.accepted, outcome.rejected) == (2, 1)
    ids = [each.id for each in outcome.items if not each.error]
    listed = [job.id for job in client.jobs.list(state=["pending"], limit=1)]
    assert set(ids) <= set(listed), "page by page"
    with pytest.raises(DaemonRefused, match="priorty"):
        client.jobs.submit("inventory", {"hypervisor": "lab"}, priorty=1)


def test_schedules(client: Client) -> None:
    new = NewScheduleRecord(name="nightly", cron="0 2 * * *", job=LOOK)
    made = client.schedules.create(new)
    assert client.schedules.get("nightly").id == made.id
    assert [each.name for each in client.schedules.list()] == ["nightly"]
    assert len(client.schedules.preview(made.id, count=3).moments) == 3
    assert len(client.schedules.preview_new(new, count=2).moments) == 2
    later = NewScheduleRecord(name="nightly", cron="0 3 * * *", job=LOOK)
    changed = client.schedules.replace(made.id, later, revision=made.revision)
    assert changed.cron == "0 3 * * *"
    with pytest.raises(DaemonRefused) as caught:
        client.schedules.replace(made.id, new, revision=made.revision)
    assert caught.value.status == 412
    assert caught.value.hint
    client.schedules.delete(made.id)


def test_hypervisors(client: Client, tmp_path_factory: pytest.TempPathFactory) -> None:
    url = f"mock://{tmp_path_factory.mktemp('site')}/site"
    made = client.hypervisors.create(NewHypervisor(name="site", url=url))
    change = HypervisorChange(url=url, description="spare")
    changed = client.hypervisors.replace("site", change, revision=made.revision)
    assert changed.description == "spare"
    with pytest.raises(DaemonRefused) as caught:
        client.hypervisors.replace("site", change, revision=made.revision)
    assert caught.value.status == 412
    assert client.hypervisors.health("lab").reachable
    client.hypervisors.delete("site")
    assert [each.name for each in client.hypervisors.list()] == ["lab"]


def test_instances(client: Client) -> None:
    instances = client.instances
    assert [each.name for each in instances.list(hypervisor="lab")] == ["web"]
    assert instances.page().unreachable == {}
    assert instances.start("lab", "web").state == "running"
    assert instances.get("lab", "web").state == "running"
    assert instances.details("lab", "web").instance.name == "web"
    assert [disk.name for disk in instances.disks("lab", "web")] == ["vda"]
    assert instances.metrics("lab", "web").name == "web"
    assert instances.snapshot("lab", "web", SnapshotOrder(name="one")).name == "one"
    assert [each.name for each in instances.snapshots("lab", "web")] == ["one"]
    assert instances.revert("lab", "web", "one").name == "web"
    instances.delete_snapshot("lab", "web", "one")
    instances.start("lab", "web")
    assert instances.screenshot("lab", "web").startswith(b"\x89PNG")
    assert instances.stop("lab", "web", force=True).state == "stopped"
    with pytest.raises(DaemonRefused, match="forse"):
        instances.stop("lab", "web", forse=True)


def test_repositories_and_webhooks(
    client: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = str(tmp_path_factory.mktemp("place"))
    made = client.repositories.create(NewRepository(name="main", location=place))
    change = RepositoryChange(location=place, description="first")
    client.repositories.replace("main", change, revision=made.revision)
    assert client.repositories.get("main").description == "first"
    assert client.repositories.gc("main").new
    client.repositories.delete("main")
    hook = client.webhooks.create(NewWebhook(url="http://127.0.0.1:9/x"))
    assert hook.secret.startswith("whsec_")
    record = client.webhooks.get(hook.id)
    off = WebhookChange(url=record.url, enabled=False)
    assert not client.webhooks.replace(hook.id, off, revision=record.revision).enabled
    assert client.webhooks.test(hook.id).state == "waiting"
    assert len(list(client.webhooks.deliveries(hook.id))) == 1
    client.webhooks.delete(hook.id)


def test_events_as_they_happen(client: Client, daemon: Daemon) -> None:
    events = daemon.services.events
    events.tell("site.noted", "past", by="ann")
    (past,) = client.events.past(types=["site.*"])
    begin = datetime.now(UTC) + timedelta(hours=1)
    assert list(client.events.past(types=["site.*"], since=begin)) == []
    seen = []
    for event in client.events.follow(types=["site.*"], after=(past.number or 0) - 1):
        seen.append(event.subject)
        if len(seen) == 1:
            threading.Thread(target=events.tell, args=("site.noted", "now")).start()
        else:
            break
    assert seen == ["past", "now"]


def test_a_gap_is_told(client: Client, daemon: Daemon) -> None:
    """Events that were forgotten meanwhile."""
    events = daemon.services.events
    for number in range(3):
        events.tell("vm.paused", str(number))
    events.forget(datetime.now(UTC) + timedelta(hours=1))
    events.tell("vm.resumed", "web")
    seen = []
    for event in client.events.follow(after=0):
        seen.append(event)
        if event.name == "vm.resumed":
            break
    assert seen[0].name == "gap"
    assert seen[0].data["lost"] >= 3


def test_accounts(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path_factory.mktemp("accounts")) as closed:
        monkeypatch.setenv("HYPERCTL_TOKEN", closed.account("root", Role.ADMIN))
        with Client(closed.url) as client:
            accounts = client.accounts
            assert accounts.me().username == "root"
            assert accounts.create_tenant(NewTenant(name="site")).name == "site"
            password = "plover-quartz-vivid-lantern"
            accounts.create_user(NewUser(name="ann", password=password, tenant="site"))
            assert {user.name for user in accounts.users()} == {"root", "ann"}
            token = accounts.create_token(NewToken(name="ci"))
            assert token.id in {each.id for each in accounts.tokens()}
            accounts.revoke_token(token.id)
            assert accounts.verify_audit().intact
            assert next(iter(accounts.audit(limit=1))).action == "token.revoke"
            assert len(list(accounts.export_audit())) >= 4
            assert accounts.ticket().ticket
            assert accounts.login("ann", password).token.startswith("hsdk_")
