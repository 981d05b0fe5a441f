from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from standardwebhooks import Webhook

from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog
from hypersdk.estate.deliveries import WAITS, Deliveries, forget, matches
from hypersdk.estate.posting import Answered
from hypersdk.estate.webhooks import WebhookStore
from hypersdk.model.estate import Delivery
from tests.estate.conftest import Clock
from tests.estate.receiver import Receiver, receiving

#: Seconds.
PATIENCE = 20.0


@pytest.fixture
def store(database: Database) -> WebhookStore:
    return WebhookStore(database, allow_private=True)


@pytest.fixture
def loop(database: Database, store: WebhookStore) -> Iterator[Deliveries]:
    deliveries = Deliveries(database, store, tick=0.02)
    deliveries.take_events()  # from here on
    deliveries.start()
    yield deliveries
    deliveries.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def ended(store: WebhookStore, count: int = 1) -> tuple[Delivery, ...]:
    """Wait until so many deliveries are over."""
    until(lambda: len([d for d in store.deliveries() if d.state != "waiting"]) >= count)
    return store.deliveries()


def test_an_event_arrives_signed(
    loop: Deliveries, store: WebhookStore, database: Database, receiver: Receiver
) -> None:
    _, secret = store.create(receiver.url, events=("job.*",), headers={"X-Site": "a"})
    EventLog(database).tell("job.completed", "jobs/1", "red", kind="backup")
    (delivery,) = ended(store)
    assert (delivery.state, delivery.attempts, delivery.event) == ("delivered", 1, "job.completed")
    (received,) = receiver.received
    payload = Webhook(secret).verify(received.body, received.headers)
    assert payload["type"] == "job.completed"
    assert payload["data"] == {"kind": "backup", "subject": "jobs/1", "number": 2, "tenant": "red"}
    assert received.headers["webhook-id"] == delivery.id
    assert received.headers["x-site"] == "a"
    assert received.headers["content-type"] == "application/json"


def test_each_webhook_gets_what_it_wants_and_may_see(
    loop: Deliveries, store: WebhookStore, database: Database, receiver: Receiver
) -> None:
    EventLog(database).tell("job.created", "jobs/0")  # before there is anybody
    store.create(f"{receiver.url}/all")
    store.create(f"{receiver.url}/red", tenant="red")
    store.create(f"{receiver.url}/vm", events=("vm.*", "backup.failed"))
    store.create(f"{receiver.url}/off", enabled=False)
    log = EventLog(database)
    log.tell("job.failed", "jobs/1", "red")
    log.tell("job.failed", "jobs/2", "blue")
    log.tell("vm.started", "vm", "")
    log.tell("backup.failed", "jobs/3", "red")
    wanted = {
        ("/hook/all", "jobs/1"), ("/hook/all", "jobs/2"), ("/hook/all", "vm"),
        ("/hook/all", "jobs/3"), ("/hook/red", "jobs/1"), ("/hook/red", "jobs/3"),
        ("/hook/vm", "vm"), ("/hook/vm", "jobs/3"),
    }  # fmt: skip

    def seen() -> set[tuple[str, str]]:
        return {
            (each.path, json.loads(each.body)["data"]["subject"])
            for each in receiver.received
            if not json.loads(each.body)["type"].startswith("webhook.")
        }

    until(lambda: seen() >= wanted)
    until(lambda: not store.deliveries(state="waiting"))
    assert seen() == wanted


def test_it_is_tried_again_with_longer_and_longer_waits_until_it_arrives(
    loop: Deliveries, store: WebhookStore, database: Database, clock: Clock, receiver: Receiver
) -> None:
    receiver.replies = [(500, {}, b"no"), (503, {"retry-after": "600"}, b""), (200, {}, b"")]
    made, secret = store.create(receiver.url, events=("job.*",))
    EventLog(database).tell("job.completed", "jobs/1")
    until(lambda: store.deliveries(made.id)[:1] != () and store.deliveries()[0].attempts == 1)
    (waiting,) = store.deliveries()
    assert waiting.said == "it answered 500 Internal Server Error: no"
    assert waiting.next_attempt is not None
    assert 4 < (waiting.next_attempt - clock.now).total_seconds() < 6
    clock.forward(seconds=6)
    until(lambda: store.deliveries()[0].attempts == 2)
    (waiting,) = store.deliveries()
    assert waiting.next_attempt is not None
    assert (waiting.next_attempt - clock.now).total_seconds() == 600
    clock.forward(seconds=601)
    (delivery,) = ended(store)
    assert (delivery.state, delivery.attempts) == ("delivered", 3)
    # The same message each time, so that the receiver can tell; signed anew.
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1
    for each in receiver.received:
        Webhook(secret).verify(each.body, each.headers)


def test_after_a_day_it_is_a_dead_letter_and_can_be_sent_again(
    database: Database, store: WebhookStore, clock: Clock
) -> None:
    answers = [Answered(False, "it answered 500 password=geheim")]
    loop = Deliveries(database, store, tick=0.01, send=lambda *a, **m: answers[0])
    loop.start()
    try:
        made, _ = store.create("http://127.0.0.1:1/x", events=("job.*",))
        began = clock.now
        delivery = store.test(made.id)
        for attempt in range(1, len(WAITS) + 1):
            until(lambda n=attempt: store.deliveries()[0].attempts == n)  # type: ignore[misc]
            waiting = store.deliveries()[0].next_attempt
            assert waiting is not None
            clock.now = waiting
        (dead,) = ended(store)
        assert dead.state == "dead"
        assert "geheim" not in dead.said
        assert 20 < (clock.now - began).total_seconds() / 3600 < 27
        answers[0] = Answered(True, "it answered 200")
        again = store.redeliver(delivery.id)
        assert (again.state, again.attempts) == ("waiting", 0)
        until(lambda: store.deliveries()[0].state == "delivered")
    finally:
        loop.stop()


def test_what_will_never_be_taken_is_dead_at_once(
    database: Database, store: WebhookStore, receiver: Receiver
) -> None:
    store.create(receiver.url, events=("job.*",))
    store.allow_private = False
    loop = Deliveries(database, store, tick=0.01)
    loop.start()
    try:
        store.test(store.list()[0].id)
        (dead,) = ended(store)
    finally:
        loop.stop()
    assert (dead.state, dead.attempts) == ("dead", 1)
    assert "loopback address" in dead.said
    assert receiver.received == []


def test_a_slow_webhook_does_not_keep_others_waiting(
    loop: Deliveries, store: WebhookStore, database: Database, receiver: Receiver
) -> None:
    go_on = threading.Event()
    with receiving() as slow:
        slow.before = lambda received: go_on.wait(PATIENCE)
        store.create(slow.url, events=("job.*",), timeout=PATIENCE)
        store.create(receiver.url, events=("job.*",))
        log = EventLog(database)
        for number in range(40):
            log.tell("job.completed", f"jobs/{number}")
        until(lambda: len(receiver.received) == 40)
        assert len(slow.received) <= 2
        go_on.set()
        until(lambda: len(slow.received) == 40)


def test_one_process_delivers_and_another_takes_over(
    database: Database, store: WebhookStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypersdk.estate.deliveries._PATIENCE", 0.05)
    loops = [Deliveries(database, store, tick=0.01) for _ in range(3)]
    loops[0].take_events()
    store.create(receiver.url, events=("job.*",))
    for each in loops:
        each.start()
    log = EventLog(database)
    for number in range(20):
        log.tell("job.completed", f"jobs/{number}")
    until(lambda: len(receiver.received) == 20)
    loops[0].stop()
    for number in range(20, 30):
        log.tell("job.completed", f"jobs/{number}")
    until(lambda: len(store.deliveries(state="delivered")) == 30)
    for each in loops:
        each.stop()
    subjects = [json.loads(each.body)["data"]["subject"] for each in receiver.received]
    assert sorted(subjects) == sorted(f"jobs/{number}" for number in range(30))


def test_nothing_is_lost_while_nobody_delivers(
    database: Database, store: WebhookStore, receiver: Receiver
) -> None:
    Deliveries(database, store).take_events()
    store.create(receiver.url, events=("job.*",))
    EventLog(database).tell("job.completed", "jobs/1")
    loop = Deliveries(database, store, tick=0.01)
    loop.start()
    ended(store)
    loop.stop()
    assert len(receiver.received) == 1


def test_old_deliveries_are_forgotten_and_waiting_ones_are_not(
    database: Database, store: WebhookStore, clock: Clock, receiver: Receiver
) -> None:
    made, _ = store.create(receiver.url, events=("job.*",))
    loop = Deliveries(database, store, tick=0.01)
    loop.start()
    store.test(made.id)
    ended(store)
    loop.stop()
    waiting = store.test(made.id)
    assert forget(database, 1 << 60) == 1
    assert store.deliveries() == (waiting,)


def test_patterns() -> None:
    assert matches("*", "job.completed")
    assert matches("job.*", "job.completed")
    assert matches("job.completed", "job.completed")
    assert not matches("job.*", "jobs.completed")
    assert not matches("job.failed", "job.completed")
