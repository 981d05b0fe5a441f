"""Instances over HTTP, on the mock hypervisor."""

from __future__ import annotations

import httpx
import pytest

from tests.api.serving import Daemon, until

WEB = "/v1/hypervisors/lab/instances/web"


def test_they_are_listed_from_memory_or_anew(daemon: Daemon, client: httpx.Client) -> None:
    first = client.get("/v1/instances").json()
    assert [each["name"] for each in first["items"]] == ["web"]
    with daemon.services.connections.using_hypervisor("lab") as lab:
        assert lab.lifecycle is not None
        from hypersdk.model.specs import InstanceSpec  # noqa: PLC0415 - here only

        lab.lifecycle.create(InstanceSpec(name="behind"))
        assert len(client.get("/v1/instances").json()["items"]) == 1
        anew = client.get("/v1/instances", params={"refresh": True, "hypervisor": "lab"}).json()
        assert [each["name"] for each in anew["items"]] == ["behind", "web"]
        lab.lifecycle.delete("behind", disks=True)
    client.get("/v1/instances", params={"refresh": True})


def test_a_job_that_listed_a_hypervisor_makes_the_list_new(
    daemon: Daemon, client: httpx.Client
) -> None:
    def names() -> list[str]:
        return [each["name"] for each in client.get("/v1/instances").json()["items"]]

    assert names() == ["web"]
    with daemon.services.connections.using_hypervisor("lab") as lab:
        assert lab.lifecycle is not None
        from hypersdk.model.specs import InstanceSpec  # noqa: PLC0415 - here only

        lab.lifecycle.create(InstanceSpec(name="found"))
        assert names() == ["web"]
        # As a worker tells it.
        daemon.services.events.tell("inventory.refreshed", "hypervisors/lab")
        until(lambda: names() == ["found", "web"], "the new list")
        lab.lifecycle.delete("found", disks=True)
    client.get("/v1/instances", params={"refresh": True})


def test_the_filters_of_the_list(client: httpx.Client) -> None:
    client.post("/v1/hypervisors/lab/instances", json={"name": "db", "tags": {"site": "lab"}})
    client.post("/v1/hypervisors/lab/instances/db/start")

    def named(**params: object) -> list[str]:
        answer = client.get("/v1/instances", params=params)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return [each["name"] for each in answer.json()["items"]]

    assert named(tag="site=lab") == ["db"]
    assert named(tag="site") == ["db"]
    assert named(state="running") == ["db"]
    assert named(name="w*") == ["web"]
    part = client.get("/v1/instances", params={"limit": 1}).json()
    assert [each["name"] for each in part["items"]] == ["db"]
    assert named(limit=1, cursor=part["next"]) == ["web"]
    assert client.get("/v1/instances", params={"hypervisor": "lba"}).status_code == 404
    client.delete("/v1/hypervisors/lab/instances/db", params={"force": True, "disks": True})
    assert named() == ["web"]


def test_one_that_cannot_be_asked_is_named(daemon: Daemon, client: httpx.Client) -> None:
    daemon.services.hypervisors.create("gone", "docker:///nowhere/docker.sock")
    found = client.get("/v1/instances").json()
    assert list(found["unreachable"]) == ["gone"]
    assert [each["name"] for each in found["items"]] == ["web"]
    alone = client.get("/v1/instances", params={"hypervisor": "gone"})
    assert alone.status_code >= 400
    daemon.services.hypervisors.delete("gone")


def test_its_life(daemon: Daemon, client: httpx.Client) -> None:
    for step, state in [
        ("start", "running"),
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("reset", "running"),
        ("restart", "running"),
        ("stop", "stopped"),
    ]:
        answer = client.post(f"{WEB}/{step}")
        assert (answer.status_code, answer.json().get("state")) == (200, state), step
    assert client.post(f"{WEB}/pause").status_code == 409
    assert client.post(f"{WEB}/start", json={"paused": True}).json()["state"] == "paused"
    assert client.post(f"{WEB}/stop", json={"force": True}).json()["state"] == "stopped"
    names = [event.name for event in daemon.services.events.since(0)]
    assert "vm.started" in names
    assert "vm.restarted" in names
    entry = next(iter(daemon.services.audit.list(limit=1)))
    assert entry.action == "instance.stop"
    assert (entry.before, entry.after) == ({"state": "paused"}, {"state": "stopped"})


def test_one_is_made_and_removed(client: httpx.Client) -> None:
    spec = {"name": "new", "vcpus": 2, "memory": 1 << 28, "disks": [{"size": 1 << 20}]}
    made = client.post("/v1/hypervisors/lab/instances", json=spec)
    assert (made.status_code, made.json()["state"]) == (201, "stopped")
    at = made.headers["Location"]
    assert client.get(at).json()["vcpus"] == 2
    assert client.post("/v1/hypervisors/lab/instances", json=spec).status_code == 409
    assert [each["size"] for each in client.get(f"{at}/disks").json()["items"]] == [1 << 20]
    assert client.delete(at, params={"disks": True}).status_code == 204
    assert client.get(at).status_code == 404


def test_a_wrong_spec_is_refused_by_field(client: httpx.Client) -> None:
    spec = {"name": "new", "disks": [{"siez": 1}]}
    answer = client.post("/v1/hypervisors/lab/instances", json=spec)
    assert answer.json()["errors"][0] == {
        "field": "body.disks[0].siez",
        "message": "there is no such field; did you mean size?",
    }


def test_snapshots(client: httpx.Client) -> None:
    made = client.post(f"{WEB}/snapshots", json={"name": "before", "description": "all well"})
    assert (made.status_code, made.json()["description"]) == (201, "all well")
    assert client.post(f"{WEB}/snapshots", json={"name": "before"}).status_code == 409
    names = [each["name"] for each in client.get(f"{WEB}/snapshots").json()["items"]]
    assert names == ["before"]
    assert client.post(f"{WEB}/snapshots/before/revert").status_code == 200
    assert client.delete(f"{WEB}/snapshots/before").status_code == 204
    assert client.delete(f"{WEB}/snapshots/before").status_code == 404


def test_what_is_known_of_it(client: httpx.Client) -> None:
    assert client.get(f"{WEB}/details").json()["details"]["product"] == "mock"
    assert client.get(f"{WEB}/metrics").json()["name"] == "web"
    assert client.get("/v1/hypervisors/lab/instances/wbe").status_code == 404


def test_its_screen(client: httpx.Client) -> None:
    assert client.get(f"{WEB}/console/screenshot").status_code == 409
    client.post(f"{WEB}/start")
    picture = client.get(f"{WEB}/console/screenshot")
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    keys = {"keys": ["ctrl", "alt", "delete"]}
    assert client.post(f"{WEB}/console/keys", json=keys).status_code == 204
    assert client.post(f"{WEB}/console/keys", json={"keys": ["hyper"]}).status_code == 400
    console = client.get(f"{WEB}/console").json()
    assert console["serial"] == f"{WEB}/console/serial"
    client.post(f"{WEB}/stop", json={"force": True})
    assert client.get(f"{WEB}/console").json()["kind"] == ""


@pytest.mark.parametrize("path", ["details", "disks", "metrics", "snapshots", "console"])
def test_what_is_not_there(client: httpx.Client, path: str) -> None:
    assert client.get(f"/v1/hypervisors/nowhere/instances/web/{path}").status_code == 404
