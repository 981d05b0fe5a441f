"""Jobs over HTTP."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from hypersdk.accounts.quotas import Quotas
from hypersdk.model.accounts import Quota, Role
from tests.api.serving import Daemon

ASKED = {"kind": "inventory", "request": {"hypervisor": "lab"}, "dedup": ""}


def submitted(client: httpx.Client, **more: Any) -> str:
    answer = client.post("/v1/jobs", json={**ASKED, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['items'][0]['id']}"
    return str(answer.json()["items"][0]["id"])


def test_one_is_submitted_and_read(client: httpx.Client) -> None:
    id = submitted(client, priority=70, tags={"site": "berlin"})
    job = client.get(f"/v1/jobs/{id}").json()
    assert (job["state"], job["priority"], job["owner"]) == ("pending", 70, "local")
    assert job["tags"] == {"site": "berlin"}
    assert job["resources"] == ["hypervisor:lab"]


def test_the_same_twice_is_one_job(client: httpx.Client) -> None:
    asked = {**ASKED, "dedup": "once"}
    first = client.post("/v1/jobs", json=asked)
    second = client.post("/v1/jobs", json=asked)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["items"][0] == {**first.json()["items"][0], "new": False}


@pytest.mark.parametrize("form", ["array", "object"])
def test_each_of_many_gets_its_own_answer(client: httpx.Client, form: str) -> None:
    jobs = [ASKED, {**ASKED, "request": {"hypervisor": "lba"}}, {**ASKED, "kind": "inventry"}]
    answer = client.post("/v1/jobs", json=jobs if form == "array" else {"jobs": jobs})
    assert answer.status_code == 201
    body = answer.json()
    assert (body["accepted"], body["rejected"]) == (1, 2)
    errors = [each["error"] for each in body["items"]]
    assert errors[0] is None
    assert errors[1]["kind"] == "NotFound"
    assert "inventory" in errors[2]["hint"]


def test_a_thousand_are_submitted_at_once(client: httpx.Client) -> None:
    began = time.monotonic()
    answer = client.post("/v1/jobs", json={"jobs": [ASKED] * 1000})
    seconds = time.monotonic() - began
    assert answer.json()["accepted"] == 1000
    assert seconds < 12  # 3 on a machine that does nothing else


def test_a_wrong_field_is_named_with_the_nearest(client: httpx.Client) -> None:
    answer = client.post("/v1/jobs", json={"jobs": [ASKED, {**ASKED, "priorty": 3}]})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"] == [
        {
            "field": "body.jobs[1].priorty",
            "message": "there is no such field; did you mean priority?",
        }
    ]


def test_they_are_listed_newest_first_in_parts(daemon: Daemon) -> None:
    with daemon.client() as client:
        ids = [submitted(client, tags={"list": "1"}, name=f"paged {at}") for at in range(5)]
        found: list[str] = []
        cursor = ""
        while True:
            page = client.get(
                "/v1/jobs", params={"text": "paged", "limit": 2, "cursor": cursor}
            ).json()
            found += [job["id"] for job in page["items"]]
            if page["next"] is None:
                break
            cursor = page["next"]
        assert found == ids[::-1]
        wrong = client.get("/v1/jobs", params={"cursor": "bm9uc2Vuc2U"})
        assert wrong.status_code == 400


def test_the_filters_of_the_list(client: httpx.Client) -> None:
    id = submitted(client, name="filtered")
    client.post(f"/v1/jobs/{id}/cancel")
    params = {"state": "cancelled", "kind": "inventory", "text": "FILTERED"}
    assert [job["id"] for job in client.get("/v1/jobs", params=params).json()["items"]] == [id]
    params["state"] = "running"
    assert client.get("/v1/jobs", params=params).json()["items"] == []
    assert client.get("/v1/jobs", params={"state": "gone"}).status_code == 422


def test_the_life_of_a_job_that_no_worker_takes(client: httpx.Client) -> None:
    id = submitted(client)
    steps = [("pause", "paused"), ("resume", "pending"), ("cancel", "cancelled")]
    for step, state in [*steps, ("cancel", "cancelled"), ("retry", "pending")]:
        answer = client.post(f"/v1/jobs/{id}/{step}")
        assert (answer.status_code, answer.json().get("state")) == (200, state), step
    assert client.post(f"/v1/jobs/{id}/resume").status_code == 409
    assert client.delete(f"/v1/jobs/{id}").status_code == 409
    client.post(f"/v1/jobs/{id}/cancel")
    assert client.delete(f"/v1/jobs/{id}").status_code == 204
    assert client.get(f"/v1/jobs/{id}").status_code == 404


def test_the_priority_changes_and_is_audited(daemon: Daemon, client: httpx.Client) -> None:
    id = submitted(client)
    assert client.patch(f"/v1/jobs/{id}", json={"priority": 90}).json()["priority"] == 90
    assert client.patch(f"/v1/jobs/{id}", json={"priority": 101}).status_code == 422
    entry = next(iter(daemon.services.audit.list(limit=1)))
    assert (entry.action, entry.subject, entry.after) == (
        "job.prioritise",
        f"jobs/{id}",
        {"priority": 90},
    )


def test_what_is_known_already_is_not_sent_again(client: httpx.Client) -> None:
    id = submitted(client)
    tag = client.get(f"/v1/jobs/{id}").headers["ETag"]
    again = client.get(f"/v1/jobs/{id}", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    client.patch(f"/v1/jobs/{id}", json={"priority": 1})
    assert client.get(f"/v1/jobs/{id}", headers={"If-None-Match": tag}).status_code == 200


def test_kinds_have_the_schemas_of_their_requests(client: httpx.Client) -> None:
    kinds = {each["name"]: each for each in client.get("/v1/job-kinds").json()["items"]}
    assert "repository" in kinds["backup"]["request"]["required"]
    assert client.get("/v1/job-kinds/backup").json() == kinds["backup"]
    assert client.get("/v1/job-kinds/bakup").status_code == 400


def test_a_tenant_sees_and_uses_its_own_only(guarded: Daemon) -> None:
    admin = guarded.account("root", Role.ADMIN)
    red = guarded.account("red-operator", Role.OPERATOR, "red")
    guarded.services.hypervisors.create("redlab", f"mock://{guarded.lab}", tenant="red")
    with guarded.client(admin) as all_seeing, guarded.client(red) as tenant:
        other = submitted(all_seeing)
        own = submitted(tenant, request={"hypervisor": "redlab"})
        assert tenant.get(f"/v1/jobs/{other}").status_code == 404
        assert tenant.post(f"/v1/jobs/{other}/cancel").status_code == 404
        assert [job["id"] for job in tenant.get("/v1/jobs").json()["items"]] == [own]
        assert tenant.post("/v1/jobs", json=ASKED).status_code == 404
        job = all_seeing.get(f"/v1/jobs/{own}").json()
        assert (job["tenant"], job["resources"]) == ("red", ["hypervisor:redlab", "tenant:red"])


def test_only_an_administrator_names_urls(guarded: Daemon) -> None:
    operator = guarded.account("green", Role.OPERATOR)
    admin = guarded.account("blue", Role.ADMIN)
    asked = {"kind": "inventory", "request": {"hypervisor": f"mock://{guarded.lab}"}}
    with guarded.client(operator) as client:
        assert client.post("/v1/jobs", json=asked).status_code == 403
    with guarded.client(admin) as client:
        assert client.post("/v1/jobs", json=asked).status_code == 201


def test_a_tenant_that_used_up_its_bytes_backs_up_no_more(guarded: Daemon) -> None:
    services = guarded.services
    boss = guarded.account("quota-boss", Role.ADMIN)
    full = guarded.account("full-operator", Role.OPERATOR, "full")
    services.repositories.create("full-main", "/srv/full", tenant="full")
    services.hypervisors.create("full-lab", "mock:///srv/full-lab", tenant="full")
    services.tenants.change("full", quota=Quota(bytes=1000))
    Quotas(services.database).measured("full", bytes=999)
    request = {"repository": "full-main", "hypervisor": "full-lab", "instance": "web"}
    backup = {"kind": "backup", "request": request, "dedup": ""}
    with guarded.client(full) as client, guarded.client(boss) as admin:
        assert client.post("/v1/jobs", json=backup).status_code == 201
        Quotas(services.database).measured("full", bytes=1000)
        refused = client.post("/v1/jobs", json=backup)
        assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (
            403, "QuotaExceeded",
        )  # fmt: skip
        assert "1000 of 1000 bytes" in refused.json()["detail"]
        # The bytes are the tenant's, whoever asks.
        assert admin.post("/v1/jobs", json=backup).status_code == 403
        verify = {"kind": "verify", "request": {"repository": "full-main"}}
        assert client.post("/v1/jobs", json=verify).status_code == 201
        # A schedule is for later; its moments are passed over as long as there is no room.
        nightly = {"name": "nightly", "cron": "0 2 * * *", "job": backup}
        assert client.post("/v1/schedules", json=nightly).status_code == 201
