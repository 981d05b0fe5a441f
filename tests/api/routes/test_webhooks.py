"""Webhooks over HTTP."""

from __future__ import annotations

import httpx

from hypersdk.model.accounts import Role
from tests.api.serving import Daemon

URL = "https://hooks.example.org/hypersdk"


def test_its_secret_is_shown_once(client: httpx.Client) -> None:
    made = client.post("/v1/webhooks", json={"url": URL, "events": ["job.*"]})
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    assert "secret" not in client.get(made.headers["Location"]).json()
    assert made.json()["secret"] not in client.get("/v1/webhooks").text


def test_one_is_changed_and_removed(client: httpx.Client) -> None:
    made = client.post("/v1/webhooks", json={"url": URL})
    at, tag = made.headers["Location"], made.headers["ETag"]
    change = {"url": URL, "enabled": False, "events": ["vm.*"]}
    changed = client.put(at, json=change, headers={"If-Match": tag}).json()
    assert (changed["enabled"], changed["events"]) == (False, ["vm.*"])
    assert client.put(at, json=change, headers={"If-Match": tag}).status_code == 412
    assert client.delete(at).status_code == 204
    assert client.delete(at).status_code == 404


def test_deliveries_are_seen_and_sent_again(client: httpx.Client) -> None:
    at = client.post("/v1/webhooks", json={"url": URL}).headers["Location"]
    sent = client.post(f"{at}/test")
    assert (sent.status_code, sent.json()["event"]) == (201, "webhook.test")
    listed = client.get(f"{at}/deliveries", params={"state": "waiting"}).json()["items"]
    assert [each["id"] for each in listed] == [sent.json()["id"]]
    assert client.get(f"{at}/deliveries", params={"state": "dead"}).json()["items"] == []
    again = client.post(f"{at}/deliveries/{sent.json()['id']}/redeliver")
    assert (again.status_code, again.json()["attempts"]) == (200, 0)
    assert client.post(f"{at}/deliveries/none/redeliver").status_code == 404


def test_what_is_no_place_is_refused(client: httpx.Client) -> None:
    assert client.post("/v1/webhooks", json={"url": "ftp://example.org"}).status_code == 422
    wrong = {"url": URL, "events": ["jobs.*"]}
    assert client.post("/v1/webhooks", json=wrong).status_code == 400


def test_a_tenant_has_its_own(guarded: Daemon) -> None:
    admin = guarded.account("root", Role.ADMIN)
    red = guarded.account("red-admin", Role.ADMIN, "red")
    with guarded.client(admin) as all_seeing, guarded.client(red) as tenant:
        at = all_seeing.post("/v1/webhooks", json={"url": URL}).headers["Location"]
        own = tenant.post("/v1/webhooks", json={"url": URL}).json()
        assert tenant.get(at).status_code == 404
        assert tenant.post(f"{at}/test").status_code == 404
        assert [each["id"] for each in tenant.get("/v1/webhooks").json()["items"]] == [own["id"]]
