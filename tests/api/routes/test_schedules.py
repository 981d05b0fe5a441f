"""Schedules over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.serving import Daemon

JOB = {"kind": "inventory", "request": {"hypervisor": "lab"}}


def asked(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "cron": "0 3 * * *", "zone": "Europe/Berlin", "job": JOB, **more}


def test_one_is_made_read_changed_and_removed(daemon: Daemon, client: httpx.Client) -> None:
    made = client.post("/v1/schedules", json=asked("nightly", tags={"a": "b"}))
    assert made.status_code == 201
    at, tag = made.headers["Location"], made.headers["ETag"]
    assert client.get(at).json() == made.json()
    assert client.get("/v1/schedules/nightly").json() == made.json()
    assert made.json()["next_run"] is not None

    changed = client.put(at, json=asked("nightly", cron="0 4 * * *"), headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["cron"]) == (200, "0 4 * * *")
    late = client.put(at, json=asked("nightly"), headers={"If-Match": tag})
    assert late.status_code == 412
    assert client.delete(at, headers={"If-Match": tag}).status_code == 412
    assert client.delete(at).status_code == 204
    assert client.get(at).status_code == 404
    actions = [entry.action for entry in daemon.services.audit.list(limit=20)]
    assert {"schedule.create", "schedule.update", "schedule.delete"} <= set(actions)


def test_a_name_is_taken_once(client: httpx.Client) -> None:
    assert client.post("/v1/schedules", json=asked("once")).status_code == 201
    assert client.post("/v1/schedules", json=asked("once")).status_code == 409


def test_it_is_switched_and_triggered(client: httpx.Client) -> None:
    client.post("/v1/schedules", json=asked("switched"))
    off = client.post("/v1/schedules/switched/disable").json()
    assert (off["enabled"], off["next_run"]) == (False, None)
    names = [
        each["name"]
        for each in client.get("/v1/schedules", params={"enabled": False}).json()["items"]
    ]
    assert names == ["switched"]
    assert client.post("/v1/schedules/switched/enable").json()["enabled"] is True
    run = client.post("/v1/schedules/switched/trigger")
    assert run.status_code == 201
    job = client.get(f"/v1/jobs/{run.json()['id']}").json()
    assert job["schedule"] == client.get("/v1/schedules/switched").json()["id"]


def test_its_moments_are_told_before(client: httpx.Client) -> None:
    count = {"count": 3}
    new = client.post("/v1/schedules/preview", json=asked("soon"), params=count)
    assert len(new.json()["moments"]) == 3
    assert client.get("/v1/schedules/soon").status_code == 404
    client.post("/v1/schedules", json=asked("soon"))
    assert client.get("/v1/schedules/soon/preview", params=count).json() == new.json()


def test_they_are_listed_in_parts(client: httpx.Client) -> None:
    for name in ("page-c", "page-a", "page-b"):  # oldest first
        client.post("/v1/schedules", json=asked(name))
    first = client.get("/v1/schedules", params={"limit": 2}).json()
    rest = client.get("/v1/schedules", params={"limit": 100, "cursor": first["next"]}).json()
    names = [each["name"] for each in first["items"] + rest["items"]]
    assert names[-3:] == ["page-c", "page-a", "page-b"]
    assert len(names) == len(set(names))
    assert rest["next"] is None


def test_what_is_wrong_is_refused(client: httpx.Client) -> None:
    assert client.post("/v1/schedules", json=asked("bad", cron="61 * * * *")).status_code == 400
    assert client.post("/v1/schedules", json=asked("bad", zone="Mars/Base")).status_code == 400
    job = {"kind": "inventory", "request": {"hypervisor": "nowhere"}}
    assert client.post("/v1/schedules", json=asked("bad", job=job)).status_code == 404
    wrong = client.post("/v1/schedules", json=asked("bad", windows=[{"start": "x"}]))
    assert "body.windows[0].start" in [each["field"] for each in wrong.json()["errors"]]
