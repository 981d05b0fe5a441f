"""Events as streams."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from hypersdk.api import feed as feeds
from hypersdk.api import streams
from hypersdk.model.accounts import Role
from hypersdk.model.errors import DatabaseUnavailable
from tests.api.serving import DEADLINE, Daemon, until


def messages(answer: httpx.Response) -> Iterator[dict[str, str]]:
    """What comes, one by one. Signs of life do not count as such for long."""
    found: dict[str, str] = {}
    end = time.monotonic() + DEADLINE
    for line in answer.iter_lines():
        assert time.monotonic() < end, "no message came"
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value
        elif "data" in found:
            yield found
            found = {}


def followers(daemon: Daemon, number: int) -> None:
    until(lambda: daemon.services.feed.followers == number, f"{number} followers")


def test_what_happens_is_told(daemon: Daemon, client: httpx.Client) -> None:
    events = daemon.services.events
    with client.stream("GET", "/v1/events", params={"types": ["vm.*"]}) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        followers(daemon, 1)
        events.tell("job.completed", "jobs/1")
        events.tell("vm.started", "hypervisors/lab/instances/web", by="me")
        message = next(messages(answer))
    assert (message["event"], message["id"]) == ("vm.started", str(events.last()))
    body = json.loads(message["data"])
    assert (body["subject"], body["data"]) == ("hypervisors/lab/instances/web", {"by": "me"})
    followers(daemon, 0)


def test_who_comes_back_misses_nothing(daemon: Daemon, client: httpx.Client) -> None:
    events = daemon.services.events
    last = events.last()
    for number in range(3):
        events.tell("vm.paused", f"hypervisors/lab/instances/{number}")
    headers = {"Last-Event-ID": str(last)}
    with client.stream("GET", "/v1/events", headers=headers) as answer:
        coming = messages(answer)
        seen = [int(next(coming)["id"]) for _ in range(3)]
        events.tell("vm.resumed", "hypervisors/lab/instances/0")
        seen.append(int(next(coming)["id"]))
    assert seen == [last + 1, last + 2, last + 3, last + 4]


def test_what_was_forgotten_is_a_gap(daemon: Daemon, client: httpx.Client) -> None:
    events = daemon.services.events
    for _ in range(3):
        events.tell("vm.paused", "hypervisors/lab/instances/web")
    last = events.last()
    until(lambda: daemon.services.feed.told == last, "the feed")
    events.forget(daemon.services.database.now())
    with client.stream("GET", "/v1/events", params={"after": last - 3}) as answer:
        message = next(messages(answer))
    assert message["event"] == "gap"
    assert json.loads(message["data"])["lost"] == 3


def test_progress_is_told_without_a_number(daemon: Daemon, client: httpx.Client) -> None:
    job = daemon.services.jobs.submit([_new("progressing")])[0].id
    params = {"types": "job.progress", "subject": f"jobs/{job}"}
    with client.stream("GET", "/v1/events", params=params) as answer:
        followers(daemon, 1)
        _running(daemon, job, percent=12.5)
        message = next(messages(answer))
    assert "id" not in message
    body = json.loads(message["data"])
    assert (body["data"]["percent"], body["data"]["state"]) == (12.5, "running")


def test_sockets_tell_the_same(daemon: Daemon) -> None:
    url = daemon.url.replace("http", "ws") + "/v1/events/ws?types=vm.*"
    with connect(url) as socket:
        followers(daemon, 1)
        daemon.services.events.tell("vm.reset", "hypervisors/lab/instances/web")
        assert json.loads(socket.recv(DEADLINE))["name"] == "vm.reset"
    followers(daemon, 0)


def test_many_follow_at_once(daemon: Daemon) -> None:
    with ExitStack() as stack:
        client = stack.enter_context(daemon.client(limits=httpx.Limits(max_connections=200)))
        streams = [stack.enter_context(client.stream("GET", "/v1/events")) for _ in range(100)]
        followers(daemon, 100)
        daemon.services.events.tell("vm.started", "hypervisors/lab/instances/web")
        assert {next(messages(stream))["event"] for stream in streams} == {"vm.started"}
    followers(daemon, 0)


def test_those_that_are_kept_are_listed(daemon: Daemon, client: httpx.Client) -> None:
    events = daemon.services.events
    last = events.last()
    for number in range(5):
        events.tell("vm.paused" if number % 2 else "vm.started", f"jobs/{number}")
    page = client.get("/v1/events/past", params={"after": last, "types": "vm.started", "limit": 2})
    rest = client.get(
        "/v1/events/past", params={"types": "vm.started", "cursor": page.json()["next"]}
    )
    found = page.json()["items"] + rest.json()["items"]
    assert [each["subject"] for each in found] == ["jobs/0", "jobs/2", "jobs/4"]
    assert rest.json()["next"] is None


def test_a_wrong_place_to_begin_is_refused(client: httpx.Client) -> None:
    answer = client.get("/v1/events", headers={"Last-Event-ID": "yesterday"})
    assert answer.status_code == 400


def test_a_tenant_is_told_of_its_own_only(guarded: Daemon) -> None:
    guarded.account("root", Role.ADMIN)
    red = guarded.account("red-viewer", Role.VIEWER, "red")
    events = guarded.services.events
    with guarded.client(red) as client, client.stream("GET", "/v1/events") as answer:
        followers(guarded, 1)
        events.tell("vm.started", "hypervisors/a/instances/1", "blue")
        events.tell("vm.started", "hypervisors/b/instances/2", "red")
        body = json.loads(next(messages(answer))["data"])
        assert body["tenant"] == "red"
        past = client.get("/v1/events/past", params={"types": "vm.*"}).json()["items"]
        assert [each["tenant"] for each in past] == ["red"]


def test_who_is_not_let_in_any_more_is_not_told_any_more(
    guarded: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(feeds, "HEARTBEAT", 0.05)
    services = guarded.services
    guarded.account("leavers-boss", Role.ADMIN)
    secret = guarded.account("leaver", Role.VIEWER)
    stays = guarded.account("stayer", Role.VIEWER)
    url = guarded.url.replace("http", "ws") + "/v1/events/ws"
    with (
        guarded.client(secret) as client,
        guarded.client(stays) as other,
        client.stream("GET", "/v1/events") as answer,
        other.stream("GET", "/v1/events", params={"types": "vm.*"}) as theirs,
        connect(url, additional_headers={"Authorization": f"Bearer {secret}"}) as socket,
    ):
        followers(guarded, 3)
        (token,) = services.tokens.list("leaver")
        services.tokens.revoke(token.id)
        for _ in answer.iter_lines():
            pass  # until it ends
        for _ in socket:
            pass
        followers(guarded, 1)
        services.events.tell("vm.started", "hypervisors/a/instances/1")
        assert next(messages(theirs))["event"] == "vm.started"


def test_a_database_that_is_away_ends_no_stream(
    guarded: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(feeds, "HEARTBEAT", 0.02)
    asked = threading.Event()

    def away(who: object) -> bool:
        asked.set()
        raise DatabaseUnavailable("away", hint="wait")

    monkeypatch.setattr(guarded.services.access, "valid", away)
    secret = guarded.account("patient", Role.ADMIN)
    with guarded.client(secret) as client, client.stream("GET", "/v1/events") as answer:
        followers(guarded, 1)
        assert asked.wait(DEADLINE)
        guarded.services.events.tell("vm.started", "hypervisors/a/instances/1")
        assert next(messages(answer))["event"] == "vm.started"


def test_a_socket_without_credentials_is_refused(guarded: Daemon) -> None:
    with (
        pytest.raises(InvalidStatus) as caught,
        connect(guarded.url.replace("http", "ws") + "/v1/events/ws"),
    ):
        pass
    assert caught.value.response.status_code == 401


def _new(name: str) -> Any:
    from hypersdk.model.jobs import NewJob  # noqa: PLC0415

    return NewJob(kind="inventory", request={"hypervisor": "lab"}, name=name)


def _running(daemon: Daemon, job: str, *, percent: float) -> None:
    """As a worker writes it."""
    import sqlalchemy as sa  # noqa: PLC0415

    from hypersdk.database.tables import jobs  # noqa: PLC0415
    from hypersdk.jobs.rows import progress_row  # noqa: PLC0415
    from hypersdk.model.jobs import JobProgress  # noqa: PLC0415

    database = daemon.services.database
    with database.write() as connection:
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == job)
            .values(
                state="running",
                revision=database.next_numbers(connection, "jobs.revision"),
                progress=progress_row(JobProgress("copying", "web/vda", 1, 8, percent)),
            )
        )
