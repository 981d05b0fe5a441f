from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from hypersdk.api.known import live
from hypersdk.model.accounts import Role
from tests.api.known.daemons import Known, knowing
from tests.api.serving import DEADLINE, until

METRICS = {
    "timestamp", "jobs_active", "jobs_completed", "jobs_failed", "jobs_pending", "jobs_cancelled",
    "queue_length", "http_requests", "http_errors", "avg_response_time", "memory_usage",
    "cpu_usage", "goroutines", "active_connections", "websocket_clients", "provider_stats",
    "recent_jobs", "system_health", "alerts", "uptime_seconds",
}  # fmt: skip


@pytest.fixture
def socket(known: Known) -> Iterator[ClientConnection]:
    with connect(_url(known)) as found:
        yield found


def _url(known: Known) -> str:
    return known.daemon.url.replace("http", "ws") + "/ws"


def _next(socket: ClientConnection, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The next message that is wanted."""
    while True:
        found: dict[str, Any] = json.loads(socket.recv(timeout=DEADLINE))
        assert set(found) == {"type", "timestamp", "data"}
        if wanted(found):
            return found


def test_status_and_jobs_come_first_then_figures(known: Known, socket: ClientConnection) -> None:
    first, second = (json.loads(socket.recv(timeout=DEADLINE)) for _ in range(2))
    assert first["type"] == "status"
    assert set(first["data"]) == {"total_jobs", "running_jobs", "completed_jobs", "failed_jobs"}
    assert second["type"] == "jobs"
    assert isinstance(second["data"]["jobs"], list)
    figures = [_next(socket, lambda each: each["type"] == "metrics") for _ in range(2)]
    raw = figures[-1]["data"]["raw"]
    assert set(raw) == METRICS
    assert raw["websocket_clients"] >= 1
    assert raw["memory_usage"] > 1 << 20
    assert raw["provider_stats"] == {"mock": 1}
    assert raw["system_health"] == "healthy"
    assert figures[1]["timestamp"] > figures[0]["timestamp"]


def test_a_change_of_a_job_is_told(known: Known, socket: ClientConnection) -> None:
    id = known.post("/jobs/submit", {"vm_path": "web", "output_path": "live"})["job_id"]

    def mine(status: str) -> Callable[[dict[str, Any]], bool]:
        return lambda each: (
            each["type"] == "job_update"
            and each["data"]["definition"]["id"] == id
            and each["data"]["status"] == status
        )

    found = _next(socket, mine("pending"))
    assert {"definition", "status"} <= set(found["data"])
    known.post("/jobs/cancel", {"job_ids": [id]})
    _next(socket, mine("cancelled"))
    raw = _next(socket, lambda each: each["type"] == "metrics")["data"]["raw"]
    recent = next(each for each in raw["recent_jobs"] if each["id"] == id)
    assert recent["status"] == "cancelled"
    assert recent["vm_path"] == "web"


def test_a_schedule_is_told(known: Known, socket: ClientConnection) -> None:
    body = {"id": "told", "schedule": "0 2 * * *", "job_template": {"vm_path": "web"}}
    known.post("/schedules", body, status=201)
    found = _next(socket, lambda each: each["type"] == "schedule_event")
    assert found["data"]["schedule_id"] == "told"
    assert found["data"]["event"] == "created"
    known.daemon.services.schedules.delete("told")


def test_a_slow_client_is_let_go_and_may_come_back(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WAITING_MOST", 0)  # whatever waits is too much
    with connect(_url(known)) as slow:
        with pytest.raises(ConnectionClosed) as caught:
            _next(slow, lambda _: False)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1013
    monkeypatch.undo()
    with connect(_url(known)) as again:
        _next(again, lambda each: each["type"] == "metrics")


def test_who_leaves_is_forgotten(known: Known) -> None:
    clients = live.live_of(known.daemon.app)._clients
    with connect(_url(known)) as socket:
        socket.recv(timeout=DEADLINE)
        assert clients
    until(lambda: not clients, "the client to be forgotten")


def test_a_tenant_hears_only_of_its_own(tmp_path: Path) -> None:
    with knowing(tmp_path) as known:
        daemon = known.daemon
        admin = daemon.account("root", Role.ADMIN)
        token = daemon.account("bob", Role.VIEWER, "b")
        with pytest.raises(InvalidStatus) as caught:
            connect(_url(known))
        assert caught.value.response.status_code == 401
        headers = {"Authorization": f"Bearer {token}"}
        with connect(_url(known), additional_headers=headers) as bob, daemon.client(admin) as root:
            body = {"vm_path": "web", "output_path": "x"}
            assert root.post("/jobs/submit", json=body).status_code == 200
            kinds: list[str] = []
            while kinds.count("metrics") < 3:
                found = json.loads(bob.recv(timeout=DEADLINE))
                kinds.append(found["type"])
                if found["type"] == "metrics":
                    assert found["data"]["raw"]["recent_jobs"] == []
                    assert found["data"]["raw"]["jobs_pending"] == 0
            assert "job_update" not in kinds
