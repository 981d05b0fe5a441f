"""What holds for every route."""

from __future__ import annotations

import threading

import httpx
import pytest
from fastapi import FastAPI

from hypersdk.api.building import check, describing
from hypersdk.api.pools import _INSTANT
from hypersdk.api.routes import HANDLERS
from hypersdk.contract.routes import BY_NAME, ROUTES
from hypersdk.contract.routing import Route
from tests.api.serving import CORE, Daemon, serving


def test_every_route_has_its_handler() -> None:
    check(ROUTES, HANDLERS)


def test_a_route_without_handler_is_an_error_at_the_start() -> None:
    with pytest.raises(ValueError, match="get_job"):
        describing((BY_NAME["get_job"],), {})
    with pytest.raises(ValueError, match="get_job"):
        describing((), {"get_job": HANDLERS["get_job"]})


def test_unknown_parameters_are_refused_with_the_nearest(client: httpx.Client) -> None:
    answer = client.get("/v1/jobs", params={"stat": "running"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "query.stat", "message": "there is no such parameter; did you mean state?"}
    ]


def test_requests_have_ids(client: httpx.Client) -> None:
    assert len(client.get("/v1/version").headers["X-Request-ID"]) == 16
    mine = client.get("/v1/jobs/none", headers={"X-Request-ID": "abc-1"})
    assert mine.headers["X-Request-ID"] == "abc-1"
    assert mine.json()["request_id"] == "abc-1"
    hostile = client.get("/v1/version", headers={"X-Request-ID": "a b"})
    assert hostile.headers["X-Request-ID"] != "a b"


def test_paths_and_methods_that_there_are_not(client: httpx.Client) -> None:
    lost = client.get("/v1/nothing")
    assert (lost.status_code, lost.json()["status"]) == (404, 404)
    wrong = client.put("/v1/version")
    assert (wrong.status_code, wrong.headers["Content-Type"]) == (405, "application/problem+json")
    assert client.get("/nothing").json().keys() == {"error", "hint", "timestamp"}


def test_bodies_that_are_no_json(client: httpx.Client) -> None:
    head = {"Content-Type": "application/json"}
    for content in (b"{", b"\xff", b'"\\ud800"', b"[" * 100_000):
        answer = client.post("/v1/jobs", content=content, headers=head)
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_what_nobody_foresaw_is_told_without_details(
    tmp_path: object, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path_factory.mktemp("faulty"), routes=CORE) as daemon:

        def failing(*_: object, **__: object) -> None:
            raise RuntimeError("password=hunter2")

        object.__setattr__(daemon.services.jobs, "list", failing)
        with daemon.client() as client:
            answer = client.get("/v1/jobs")
    assert answer.status_code == 500
    assert answer.json()["type"].endswith("/InternalError")
    assert "hunter2" not in answer.text
    assert answer.json()["request_id"] in answer.json()["hint"]


def test_slow_handlers_do_not_keep_quick_ones_waiting(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    arrived = threading.Semaphore(0)

    def waiting(*_: object, **__: object) -> object:
        arrived.release()
        go.wait(30)
        return {}

    route = Route(
        name="wait", method="GET", path="/v1/wait", role=None, scope="instances", summary="Wait"
    )
    with serving(tmp_path_factory.mktemp("slow"), routes=CORE) as daemon:
        app: FastAPI = daemon.app
        from hypersdk.api.building import _add  # noqa: PLC0415

        _add(app, route, lambda: waiting() and None, app.state.pools)
        with daemon.client(limits=httpx.Limits(max_connections=100)) as client:
            threads = [
                threading.Thread(target=client.get, args=("/v1/wait",), daemon=True)
                for _ in range(40)
            ]
            for thread in threads:
                thread.start()
            for _ in threads:
                assert arrived.acquire(timeout=30)
            assert client.get("/v1/jobs").status_code == 200
            go.set()
            for thread in threads:
                thread.join(30)


def test_an_open_daemon_refuses_pages_of_others(daemon: Daemon) -> None:
    with daemon.client() as client:
        assert client.get("/v1/status", headers={"Origin": "https://evil"}).status_code == 403
        assert client.get("/v1/status", headers={"Host": "evil.example"}).status_code == 403


def test_what_is_read_at_once_are_routes() -> None:
    assert set(BY_NAME) >= _INSTANT
