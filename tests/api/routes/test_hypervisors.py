"""Hypervisors over HTTP."""

from __future__ import annotations

import httpx

from hypersdk.model.accounts import Role
from tests.api.serving import Daemon


def test_one_is_made_read_changed_and_removed(daemon: Daemon, client: httpx.Client) -> None:
    asked = {"name": "second", "url": f"mock://{daemon.lab}", "budget": {"jobs": 2}}
    made = client.post("/v1/hypervisors", json=asked)
    assert made.status_code == 201
    assert made.json()["budget"] == {"jobs": 2, "bandwidth": None, "starts": None}
    at, tag = made.headers["Location"], made.headers["ETag"]
    assert client.get(at).headers["ETag"] == tag
    assert client.post("/v1/hypervisors", json=asked).status_code == 409
    change = {"url": f"mock://{daemon.lab}", "description": "the second"}
    changed = client.put(at, json=change, headers={"If-Match": tag}).json()
    assert (changed["description"], changed["budget"]["jobs"]) == ("the second", None)
    assert client.put(at, json=change, headers={"If-Match": tag}).status_code == 412
    assert client.delete(at, headers={"If-Match": '"999999"'}).status_code == 412
    assert client.delete(at).status_code == 204
    assert client.get(at).status_code == 404


def test_secrets_do_not_stand_in_urls(client: httpx.Client) -> None:
    asked = {"name": "leaky", "url": "vsphere://user:hunter2@vc.example/DC"}
    answer = client.post("/v1/hypervisors", json=asked)
    assert answer.status_code == 400
    assert "hunter2" not in answer.text


def test_health_is_an_answer_either_way(daemon: Daemon, client: httpx.Client) -> None:
    well = client.get("/v1/hypervisors/lab/health").json()
    assert well["reachable"]
    assert well["host"]["product"] == "mock"
    assert {"part": "snapshots", "grade": "full", "limits": []} in well["capabilities"]
    assert well["breaker"]["state"] == "closed"
    daemon.services.hypervisors.create("gone", "docker:///nowhere/docker.sock")
    ill = client.get("/v1/hypervisors/gone/health").json()
    assert (ill["reachable"], ill["host"]) == (False, None)
    assert ill["error"]
    daemon.services.hypervisors.delete("gone")


def test_a_url_is_tried_without_being_kept(daemon: Daemon, client: httpx.Client) -> None:
    tried = client.post("/v1/hypervisors/test", json={"url": f"mock://{daemon.lab}"})
    assert tried.json()["reachable"]
    names = [each["name"] for each in client.get("/v1/hypervisors").json()["items"]]
    assert names == ["lab"]
    assert not client.post(
        "/v1/hypervisors/test", json={"url": "docker:///nowhere/docker.sock"}
    ).json()["reachable"]


def test_a_tenant_has_its_own(guarded: Daemon) -> None:
    guarded.account("root", Role.ADMIN)
    red = guarded.account("red-admin", Role.ADMIN, "red")
    guarded.services.hypervisors.create("redlab", f"mock://{guarded.lab}", tenant="red")
    with guarded.client(red) as client:
        names = [each["name"] for each in client.get("/v1/hypervisors").json()["items"]]
        assert names == ["redlab"]
        for path in ("/v1/hypervisors/lab", "/v1/hypervisors/lab/health"):
            assert client.get(path).status_code == 404
        assert client.delete("/v1/hypervisors/lab").status_code == 404
        url = {"url": f"mock://{guarded.lab}"}
        assert client.post("/v1/hypervisors/test", json=url).status_code == 403
