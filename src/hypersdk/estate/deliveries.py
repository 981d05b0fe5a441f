"""The loop that delivers events to webhooks.

It runs in one process at a time, which holds the lock ``webhooks``. Events become deliveries in the
write that moves the cursor, so each event becomes one delivery per webhook, and a killed process
loses none. A delivery may arrive twice when we die between its arrival and noting it; its id tells.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from hypersdk.config.secrets import resolve
from hypersdk.database.engine import Database, SessionLock
from hypersdk.database.events import EventLog
from hypersdk.database.moments import to_number
from hypersdk.database.tables import counters, deliveries, webhooks
from hypersdk.estate import checks
from hypersdk.estate.posting import Answered, post
from hypersdk.estate.webhooks import WebhookStore, delivery_row
from hypersdk.model.errors import DatabaseUnavailable, HyperSDKError
from hypersdk.model.estate import Event
from hypersdk.observe.log import get_logger
from hypersdk.observe.redact import redact_text
from hypersdk.observe.webhooks import signature

_log = get_logger(__name__)

#: Seconds before the second attempt, the third, …: a day in all.
WAITS = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, *[7200.0] * 11)
#: Part of a wait by which it may be shorter or longer.
_JITTER = 0.1
#: Seconds between looks for events and for what is due.
TICK = 0.5
#: Seconds between tries to become the one that delivers, and after the database was away.
_PATIENCE = 5.0
#: Deliveries at once, and to one webhook: a slow one does not keep the others waiting.
_THREADS = 16
_PER_WEBHOOK = 2
_BATCH = 500
_SAID_MOST = 500
_CURSOR = "webhooks.event"


@dataclass(frozen=True, slots=True)
class _Listener:
    id: str
    tenant: str
    patterns: Sequence[str]
    #: The last event before it was made.
    since: int

    def wants(self, event: Event) -> bool:
        if (self.tenant and event.tenant != self.tenant) or event.number <= self.since:
            return False
        return not self.patterns or any(matches(each, event.name) for each in self.patterns)


def matches(pattern: str, name: str) -> bool:
    """``*``, ``job.*`` or ``job.completed``."""
    return pattern in {"*", name} or (pattern.endswith(".*") and name.startswith(pattern[:-1]))


class Deliveries:
    """Begun with `start`, ended with `stop`. Any process may have one; one of them works."""

    def __init__(
        self,
        database: Database,
        store: WebhookStore,
        *,
        tick: float = TICK,
        waits: Sequence[float] = WAITS,
        send: Callable[..., Answered] = post,
    ) -> None:
        self._database = database
        self._store = store
        self._events = EventLog(database)
        self._tick = tick
        self._waits = waits
        self._send = send
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        #: Delivery → its webhook, of those that are on their way.
        self._going: dict[str, str] = {}
        self._one = threading.Lock()

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Begin nothing more, and wait for what is on its way. What does not end comes again."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                lock = self._database.lock("webhooks")
                if lock is not None:
                    self._work(lock)
            except DatabaseUnavailable as error:
                _log.warning("webhooks wait for the database", error=error.message)
            except Exception:  # noqa: BLE001 - logged; the loop must outlive it
                _log.exception("webhooks met a fault and go on")
            self._ending.wait(_PATIENCE)

    def _work(self, lock: SessionLock) -> None:
        pool = ThreadPoolExecutor(_THREADS, "webhook")
        try:
            while not self._ending.is_set() and lock.held():
                more = self.take_events()
                for row in self._due():
                    pool.submit(self._deliver, row)
                if not more:
                    self._ending.wait(self._tick)
        finally:
            # Those on their way are waited for, within the timeouts of their webhooks: the next one
            # to hold the lock would send them again.
            pool.shutdown(wait=True, cancel_futures=True)
            self._going.clear()
            lock.release()

    def take_events(self) -> bool:
        """Make deliveries of new events; gives whether there may be more. Called by the loop."""
        with self._database.read() as connection:
            cursor = connection.execute(
                sa.select(counters.c.value).where(counters.c.name == _CURSOR)
            ).scalar_one_or_none()
        if cursor is None:
            self._move(None, self._events.last(), [])
            return True
        events = self._events.since(cursor, limit=_BATCH)
        if not events:
            return False
        listeners = self._listeners()
        now = self._database.now()
        made = [
            delivery_row(each.id, event.name, _body(event), now)
            for event in events
            for each in listeners
            if each.wants(event)
        ]
        self._move(cursor, events[-1].number, made)
        return len(events) == _BATCH

    def _move(self, old: int | None, new: int, made: Sequence[Mapping[str, Any]]) -> None:
        with self._database.write() as connection:
            if old is None:
                connection.execute(sa.insert(counters).values(name=_CURSOR, value=new))
                return
            moved = connection.execute(
                sa.update(counters)
                .where(counters.c.name == _CURSOR, counters.c.value == old)
                .values(value=new)
            )
            # Else somebody else took these events, though we believed to hold the lock.
            if moved.rowcount and made:
                connection.execute(sa.insert(deliveries), list(made))

    def _listeners(self) -> list[_Listener]:
        with self._database.read() as connection:
            rows = connection.execute(sa.select(webhooks).where(webhooks.c.enabled)).all()
        return [
            _Listener(row.id, row.tenant, row.definition["events"], row.definition["since"])
            for row in rows
        ]

    def _due(self) -> list[Row[Any]]:
        """What to deliver now; noted as on its way."""
        now = to_number(self._database.now())
        query = (
            sa.select(deliveries)
            .where(deliveries.c.state == "waiting", deliveries.c.next_attempt <= now)
            .order_by(deliveries.c.next_attempt, deliveries.c.id)
            .limit(_BATCH)
        )
        with self._one:
            going = dict(self._going)
        if going:
            query = query.where(deliveries.c.id.not_in(list(going)))
        busy = Counter(going.values())
        full = [webhook for webhook, count in busy.items() if count >= _PER_WEBHOOK]
        if full:  # behind a slow one, those of others must be found
            query = query.where(deliveries.c.webhook.not_in(full))
        with self._database.read() as connection:
            found = connection.execute(query).all()
        chosen = []
        for row in found:
            if busy[row.webhook] < _PER_WEBHOOK and sum(busy.values()) < _THREADS:
                busy[row.webhook] += 1
                chosen.append(row)
        with self._one:
            self._going.update({row.id: row.webhook for row in chosen})
        return chosen

    def _deliver(self, row: Row[Any]) -> None:
        try:
            self._note(row, self._attempt(row))
        except DatabaseUnavailable as error:
            _log.warning("the outcome of a delivery is not noted", id=row.id, error=error.message)
        except Exception:  # noqa: BLE001 - logged; it comes again
            _log.exception("a delivery met a fault", id=row.id)
        finally:
            with self._one:
                del self._going[row.id]

    def _attempt(self, row: Row[Any]) -> Answered:
        try:
            webhook = self._store.get(row.webhook)
            if not webhook.enabled:
                return Answered(False, "the webhook is switched off")
            url = resolve(webhook.url) if checks.is_reference(webhook.url) else webhook.url
            body = json.dumps(row.body, ensure_ascii=False, separators=(",", ":")).encode()
            headers = {
                name: resolve(value) if checks.is_reference(value) else value
                for name, value in webhook.headers.items()
            }
            headers |= {"content-type": "application/json", "user-agent": "hypersdk"}
            headers |= signature(self._store.signing_secret(webhook.id), row.id, body)
        except DatabaseUnavailable:
            raise
        except HyperSDKError as error:
            return Answered(False, error.message)
        return self._send(
            url,
            body,
            headers,
            timeout=webhook.timeout,
            allow_private=self._store.allow_private,
        )

    def _note(self, row: Row[Any], answered: Answered) -> None:
        now, attempts = self._database.now(), row.attempts + 1
        values: dict[str, Any] = {
            "attempts": attempts,
            "said": redact_text(answered.said)[:_SAID_MOST],
        }
        if answered.delivered:
            values |= {"state": "delivered", "delivered": to_number(now), "next_attempt": None}
        elif answered.final or attempts > len(self._waits):
            values |= {"state": "dead", "next_attempt": None}
            _log.warning("a webhook was not delivered", id=row.id, webhook=row.webhook, **values)
        else:
            wait = self._waits[attempts - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
            values["next_attempt"] = to_number(now + timedelta(seconds=max(wait, answered.after)))
        with self._database.write() as connection:
            connection.execute(
                sa.update(deliveries).where(deliveries.c.id == row.id).values(values)
            )


def _body(event: Event) -> dict[str, Any]:
    """As https://www.standardwebhooks.com has it."""
    return {
        "type": event.name,
        "timestamp": event.time.isoformat(timespec="milliseconds"),
        "data": {
            **event.data,
            "subject": event.subject,
            "number": event.number,
            "tenant": event.tenant,
        },
    }


def forget(database: Database, before: int) -> int:
    """Delete deliveries that ended and were made before a moment (microseconds)."""
    with database.write() as connection:
        done = connection.execute(
            sa.delete(deliveries).where(
                deliveries.c.state != "waiting", deliveries.c.created < before
            )
        )
        return int(done.rowcount)
