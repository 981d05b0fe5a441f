"""The daemon about itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx
import sqlalchemy as sa

from hypersdk.database.moments import to_number
from hypersdk.database.tables import jobs, workers
from hypersdk.model.accounts import Role
from hypersdk.model.jobs import NewJob
from tests.api.serving import Daemon, until


def test_status_counts_jobs_of_the_caller(guarded: Daemon) -> None:
    admin = guarded.account("root", Role.ADMIN)
    red = guarded.account("red", Role.VIEWER, "red")
    guarded.services.jobs.submit(
        [NewJob(kind="gc", request={}, tenant=tenant) for tenant in ("red", "blue")]
    )
    with guarded.client(admin) as client:
        until(lambda: client.get("/v1/status").json()["jobs"]["pending"] == 2, "both")
    with guarded.client(red) as client:
        status = client.get("/v1/status").json()
    assert (status["user"], status["tenant"], status["jobs"]["pending"]) == ("red", "red", 1)


def test_what_is_for_everybody(guarded: Daemon) -> None:
    guarded.account("first", Role.ADMIN)
    with guarded.client() as client:
        for path in ("/v1/version", "/v1/openapi.json", "/v1/docs"):
            assert client.get(path).status_code == 200, path
        for path in ("/v1/status", "/metrics", "/v1/workers"):
            refused = client.get(path)
            assert refused.status_code == 401, path
            assert refused.headers["WWW-Authenticate"].startswith("Bearer")


def test_tenants_do_not_look_into_the_daemon(guarded: Daemon) -> None:
    guarded.account("second", Role.ADMIN)
    red = guarded.account("red-admin", Role.ADMIN, "red")
    with guarded.client(red) as client:
        assert client.get("/metrics").status_code == 403
        assert client.get("/v1/workers").status_code == 403
        assert client.post("/v1/reload").status_code == 403


def test_settings_are_read_again(daemon: Daemon, client: httpx.Client) -> None:
    assert client.post("/v1/reload").json() == {"changed": ["log_level"]}
    assert len(daemon.reloads) == 1


def test_workers_are_listed_with_what_they_do(daemon: Daemon, client: httpx.Client) -> None:
    database = daemon.services.database
    now = to_number(database.now())
    job = daemon.services.jobs.submit([NewJob(kind="gc", request={})])[0].id
    with database.write() as connection:
        connection.execute(
            sa.insert(workers).values(
                id="w1", queues=["default"], host="h", pid=7, slots=4, version="0.1.0",
                state="running", started=now, seen=now,
            )
        )  # fmt: skip
        connection.execute(
            sa.update(jobs).where(jobs.c.id == job).values(state="running", worker="w1")
        )
    worker = client.get("/v1/workers").json()["items"][0]
    assert (worker["id"], worker["slots"], worker["busy"]) == ("w1", 4, 1)


def test_figures(daemon: Daemon, client: httpx.Client) -> None:
    client.get("/v1/version")
    client.get("/v1/nothing")
    found = figures(client)
    assert found['hypersdk_http_requests_total{route="get_version",status="200"}'] >= 1
    assert found['hypersdk_http_requests_total{route="none",status="404"}'] >= 1
    assert found['hypersdk_http_request_seconds_count{route="get_version"}'] >= 1
    assert 'hypersdk_jobs{state="pending"}' in found
    assert found["process_resident_memory_bytes"] > 0
    job = daemon.services.jobs.submit([NewJob(kind="backup", request={})])[0].id
    database = daemon.services.database
    moment = to_number(database.now())
    with database.write() as connection:
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == job)
            .values(
                state="completed",
                run=1,
                started=moment,
                ended=moment + 2_000_000,
                result={"read": 10, "stored": 4},
                revision=database.next_numbers(connection, "jobs.revision"),
            )
        )
    ended = 'hypersdk_job_seconds_sum{kind="backup",state="completed"}'
    until(lambda: figures(client).get(ended) == 2.0, "the job's figure")
    assert figures(client)['hypersdk_bytes_total{kind="backup",what="stored"}'] == 4.0


def figures(client: httpx.Client) -> Mapping[str, float]:
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_the_page_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    answer = client.get("/v1/docs")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"(src|href)=[\"']?https?:", answer.text)
    assert "/v1/jobs/{id}" in answer.text
