from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from hypersdk.api.idempotency import KEY_MOST, REPLAYED
from hypersdk.model.accounts import Role
from hypersdk.model.errors import Conflict, DatabaseUnavailable
from tests.api.tiny import PASSED, Caller, Tiny, tiny

KEY = {"Idempotency-Key": "3f6c"}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Tiny]:
    with tiny(tmp_path) as one:
        yield one


def test_the_same_request_is_carried_out_once(app: Tiny) -> None:
    client = app.client()
    first = client.post("/v1/things/1", json={"a": 1}, headers=KEY)
    again = client.post("/v1/things/1", json={"a": 1}, headers=KEY)
    assert (first.status_code, first.json()) == (PASSED, {"a": 1})
    assert (again.status_code, again.content) == (PASSED, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert len(app.bodies) == 1
    assert len(app.audit.list()) == 1


def test_without_a_key_it_is_carried_out_each_time(app: Tiny) -> None:
    for _ in range(2):
        app.client().post("/v1/things/1", json={})
    assert len(app.bodies) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/v1/things/2"},
        {"json": {"a": 2}},
        {"params": {"dry": "1"}},
        {"headers": {**KEY, "If-Match": '"3"'}},
    ],
)
def test_another_request_with_the_key(app: Tiny, other: dict[str, Any]) -> None:
    client = app.client()
    client.post("/v1/things/1", json={"a": 1}, headers=KEY)
    wanted: dict[str, Any] = {"path": "/v1/things/1", "json": {"a": 1}, "headers": KEY, **other}
    answer = client.post(**wanted)
    assert answer.status_code == 422
    assert "key" in answer.json()["hint"]
    assert len(app.bodies) == 1


def test_the_key_of_somebody_else(app: Tiny) -> None:
    one, other = app.account("one", Role.ADMIN), app.account("other", Role.ADMIN)
    for token in (one, other):
        answer = app.client(token).post("/v1/things/1", json={token: 1}, headers=KEY)
        assert answer.json() == {token: 1}


def test_whoever_may_not_learns_nothing(app: Tiny) -> None:
    root, viewer = app.account("root", Role.ADMIN), app.account("viewer", Role.VIEWER)
    app.client(root).post("/v1/things/1", json={}, headers=KEY)
    for token, status in ((viewer, 403), ("", 401)):
        assert app.client(token).post("/v1/things/1", json={}, headers=KEY).status_code == status


@pytest.mark.parametrize("error", [Conflict("no"), DatabaseUnavailable("away"), ValueError("bug")])
def test_after_an_error_it_is_carried_out(app: Tiny, error: Exception) -> None:
    def fail(request: object, body: object) -> object:
        raise error

    client = app.client()
    kept, app.work = app.work, fail
    assert client.post("/v1/things/1", json={}, headers=KEY).status_code >= 400
    app.work = kept
    assert client.post("/v1/things/1", json={}, headers=KEY).status_code == PASSED


def test_a_body_that_made_no_sense_may_be_corrected(app: Tiny) -> None:
    client = app.client()
    assert client.post("/v1/things/1", json=[], headers=KEY).status_code == 422
    assert client.post("/v1/things/1", json={}, headers=KEY).status_code == PASSED


def test_while_the_first_one_is_carried_out(app: Tiny) -> None:
    """Both in one loop: the second comes while the first waits."""
    client = app.client()
    begun, go_on = threading.Event(), threading.Event()

    async def both() -> tuple[httpx.Response, httpx.Response]:
        first = asyncio.create_task(_post(client))
        await asyncio.to_thread(begun.wait, 30)
        second = await _post(client)
        go_on.set()
        return await first, second

    async def slow() -> None:
        begun.set()
        await asyncio.to_thread(go_on.wait, 30)

    app.before = slow
    first, second = asyncio.run(both())
    assert first.status_code == PASSED
    assert second.status_code == 409
    assert second.headers["Retry-After"] == "1"
    assert second.json()["retry_after"] == 1
    assert second.json()["retryable"]
    assert len(app.bodies) == 1


async def _post(client: Caller) -> httpx.Response:
    return await client.send("POST", "/v1/things/1", json={}, headers=KEY)


@pytest.mark.parametrize("key", ["", "x" * (KEY_MOST + 1)])
def test_keys_that_cannot_be(app: Tiny, key: str) -> None:
    answer = app.client().post("/v1/things/1", json={}, headers={"Idempotency-Key": key})
    assert answer.status_code == 400


def test_a_body_too_long_is_not_read_for_it(app: Tiny) -> None:
    answer = app.client().post("/v1/things/1", json={"a": "x" * 2000}, headers=KEY)
    assert answer.status_code == 413
