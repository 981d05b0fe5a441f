from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.known.daemons import Known

SHOWN = {"url", "events", "headers", "timeout", "retry", "enabled"}
URL = "http://127.0.0.1:9/hook"


@pytest.fixture(autouse=True)
def none_left(known: Known) -> Iterator[None]:
    yield
    for each in known.daemon.services.webhooks.list():
        known.daemon.services.webhooks.delete(each.id)


def test_a_webhook_is_added_and_listed(known: Known) -> None:
    made = known.post(
        "/webhooks",
        {
            "url": URL,
            "events": ["job.completed", "job.failed"],
            "headers": {"X-Team": "a", "Authorization": "env:HOOK_TOKEN"},
            "timeout": "30s",
            "retry": 5,
        },
        status=201,
    )
    assert set(made) == {"message", "webhook", "secret"}
    assert made["secret"].startswith("whsec_")
    assert set(made["webhook"]) == SHOWN
    found = known.get("/webhooks")
    assert set(found) == {"webhooks", "total", "timestamp"}
    assert found["webhooks"] == [made["webhook"]]
    assert made["webhook"]["timeout"] == "30s"
    assert made["webhook"]["headers"] == {"X-Team": "a", "Authorization": "env:HOOK_TOKEN"}
    assert "secret" not in str(found)


def test_a_star_means_all_events(known: Known) -> None:
    made = known.post("/webhooks", {"url": URL, "events": ["*"]}, status=201)
    assert made["webhook"]["events"] == []
    known.post("/webhooks", {"url": URL, "timeout": 7}, status=201)
    assert known.get("/webhooks")["webhooks"][1]["timeout"] == "7s"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "ftp://example.org"},
        {"url": URL, "events": ["job failed!"]},
        {"url": URL, "timeout": "soon"},
        {"url": URL, "timeout": "10m"},
        {"url": URL, "headers": {"Authorization": "Bearer s3cret"}},
        {"url": URL, "secrets": "x"},
    ],
)
def test_what_cannot_be_is_refused(known: Known, body: dict[str, object]) -> None:
    assert "s3cret" not in str(known.refused("POST", "/webhooks", body, status=400))


def test_a_test_goes_to_a_webhook_that_was_added(known: Known) -> None:
    known.refused("POST", "/webhooks/test", {"url": URL}, status=404)
    known.post("/webhooks", {"url": URL}, status=201)
    assert set(known.post("/webhooks/test", {"url": URL, "event": "test"})) == {"message"}
    services = known.daemon.services
    deliveries = services.webhooks.deliveries(services.webhooks.list()[0].id)
    assert [each.event for each in deliveries] == ["webhook.test"]


def test_webhooks_are_removed_by_their_index_or_id(known: Known) -> None:
    for number in range(3):
        known.post("/webhooks", {"url": f"{URL}/{number}"}, status=201)
    assert known.client.delete("/webhooks/1").json() == {"message": "webhook deleted successfully"}
    assert [each["url"] for each in known.get("/webhooks")["webhooks"]] == [f"{URL}/0", f"{URL}/2"]
    last = known.daemon.services.webhooks.list()[-1].id
    assert known.client.delete(f"/webhooks/{last}").status_code == 200
    known.refused("DELETE", "/webhooks/1", status=404)
    known.refused("DELETE", "/webhooks/-1", status=400)
    known.refused("DELETE", "/webhooks/first", status=400)
