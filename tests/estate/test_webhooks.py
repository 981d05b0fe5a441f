from __future__ import annotations

import pytest
import sqlalchemy as sa

from hypersdk.config.daemon.estate import WebhookSettings
from hypersdk.database.engine import Database
from hypersdk.database.tables import webhooks
from hypersdk.estate.signing import SigningKey
from hypersdk.estate.webhooks import WebhookStore
from hypersdk.model.errors import (
    Conflict,
    InvalidInput,
    NotAllowed,
    NotFound,
    PreconditionFailed,
)

URL = "https://93.184.216.34/hook"


@pytest.fixture
def store(database: Database) -> WebhookStore:
    return WebhookStore(database, key=SigningKey(b"k" * 32))


def test_a_secret_is_made_shown_once_and_stored_nowhere(
    store: WebhookStore, database: Database
) -> None:
    made, secret = store.create(URL, events=("job.*",), tenant="red")
    assert secret.startswith("whsec_")
    assert store.signing_secret(made.id) == secret
    assert store.get(made.id) == made
    assert made.secret == ""
    with database.read() as connection:
        stored = repr(connection.execute(sa.select(webhooks)).all())
    assert secret.removeprefix("whsec_") not in stored


def test_a_reference_is_resolved_when_it_signs(
    store: WebhookStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, secret = store.create(URL, secret="env:SIGN")
    assert (made.secret, secret) == ("env:SIGN", "")
    monkeypatch.setenv("SIGN", "whsec_YWJj")
    assert store.signing_secret(made.id) == "whsec_YWJj"


def test_another_key_is_noticed(store: WebhookStore, database: Database) -> None:
    made, _ = store.create(URL)
    other = WebhookStore(database, key=SigningKey.random())
    with pytest.raises(Conflict, match="another one than when"):
        other.signing_secret(made.id)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "ftp://example.org"}, "not http"),
        ({"url": "http://192.168.0.1/x"}, "private address"),
        ({"events": ["jobs.*"]}, "Did you mean job.*?"),
        ({"events": ["job.UP"]}, "names no events"),
        ({"headers": {"Authorization": "Bearer geheim"}}, "would hold a secret"),
        ({"headers": {"Host": "x"}}, "cannot be set"),
        ({"headers": {"X-A": "a\r\nX-B: c"}}, "cannot be sent"),
        ({"headers": {"X A": "b"}}, "cannot be set"),
        ({"secret": "whsec_geheim"}, "as a reference"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 3600}, "timeout"),
    ],
)
def test_what_cannot_be_is_refused(
    store: WebhookStore, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        store.create(**{"url": URL, **fields})  # type: ignore[arg-type]
    assert said in str(refused.value)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "fields", [{"url": "env:CHAT"}, {"secret": "file:/x"}, {"headers": {"X-Key": "env:K"}}]
)
def test_a_tenant_gets_no_references_to_the_daemons_host(
    store: WebhookStore, fields: dict[str, object]
) -> None:
    whole = {"url": URL, "tenant": "red", **fields}
    with pytest.raises(NotAllowed):
        store.create(**whole, trusted=False)  # type: ignore[arg-type]
    made, _ = store.create(**whole)  # type: ignore[arg-type]
    assert not store.change(made.id, enabled=False, trusted=False).enabled


def test_changes(store: WebhookStore) -> None:
    made, secret = store.create(URL, headers={"X-A": "b"})
    changed = store.change(made.id, revision=made.revision, events=["vm.started"], timeout=3.0)
    assert (changed.events, changed.timeout, changed.url) == (("vm.started",), 3.0, URL)
    assert changed.headers == {"X-A": "b"}
    assert store.signing_secret(made.id) == secret
    with pytest.raises(PreconditionFailed):
        store.change(made.id, revision=made.revision, timeout=4.0)
    with pytest.raises(InvalidInput):
        store.change(made.id, url="http://10.0.0.1")
    store.delete(made.id)
    with pytest.raises(NotFound):
        store.get(made.id)


def test_what_belongs_to_another_tenant_is_not_there(store: WebhookStore) -> None:
    made, _ = store.create(URL, tenant="red")
    store.create(URL, tenant="blue")
    assert [each.id for each in store.list(tenant="red")] == [made.id]
    delivery = store.test(made.id)
    for work in (
        lambda: store.get(made.id, tenant="blue"),
        lambda: store.test(made.id, tenant="blue"),
        lambda: store.deliveries(made.id, tenant="blue"),
        lambda: store.redeliver(delivery.id, tenant="blue"),
    ):
        with pytest.raises(NotFound):
            work()
    assert store.deliveries(tenant="blue") == ()
    assert store.deliveries(tenant="red") == (delivery,)


def test_those_of_the_settings_file(store: WebhookStore) -> None:
    wanted = [WebhookSettings(name="chat", url=URL, events=["job.failed"])]
    assert store.declare(wanted) == ("chat",)
    assert store.declare(wanted) == ()
    (found,) = store.list()
    assert found.managed
    secret = store.signing_secret(found.id)
    with pytest.raises(Conflict, match="'chat' stands in the daemon's settings file"):
        store.delete(found.id)
    changed = [WebhookSettings(name="chat", url=URL, enabled=False)]
    assert store.declare(changed) == ("chat",)
    (again,) = store.list()
    assert (again.id, again.enabled) == (found.id, False)
    assert store.signing_secret(again.id) == secret
    assert store.declare([]) == ("chat",)
    assert store.list() == ()


def test_a_test_waits_to_be_delivered(store: WebhookStore) -> None:
    made, _ = store.create(URL)
    delivery = store.test(made.id)
    assert (delivery.event, delivery.state, delivery.attempts) == ("webhook.test", "waiting", 0)
    assert store.deliveries(made.id, state="waiting") == (delivery,)
    assert store.deliveries(made.id, state="dead") == ()
    with pytest.raises(InvalidInput, match="States are"):
        store.deliveries(made.id, state="lost")
