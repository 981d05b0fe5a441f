"""Webhooks, and what became of each delivery."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from ulid import ULID

from hypersdk.config.daemon.estate import WebhookSettings
from hypersdk.config.secrets import resolve
from hypersdk.database.engine import Database
from hypersdk.database.events import tell
from hypersdk.database.moments import from_number, to_number
from hypersdk.database.tables import counters, deliveries, webhooks
from hypersdk.estate import checks, targets
from hypersdk.estate.signing import SigningKey
from hypersdk.model.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from hypersdk.model.estate import Delivery, Webhook

#: Seconds for one attempt.
TIMEOUT_MOST = 60.0
PAGE_MOST = 1000
STATES = ("waiting", "delivered", "dead")
_COUNTER = "estate.revision"


class WebhookStore:
    """Safe in threads. ``trusted``: False for a caller of a tenant, who gets no references to the
    daemon's own host. ``key``: of secrets that are made here."""

    def __init__(
        self, database: Database, *, key: SigningKey | None = None, allow_private: bool = False
    ) -> None:
        self._database = database
        self._key = key or SigningKey.random()
        #: Changed by a reload of the settings.
        self.allow_private = allow_private

    # Webhooks.

    def create(
        self,
        url: str,
        *,
        events: Sequence[str] = (),
        tenant: str = "",
        headers: Mapping[str, str] | None = None,
        secret: str = "",
        timeout: float = 10.0,
        enabled: bool = True,
        trusted: bool = True,
    ) -> tuple[Webhook, str]:
        """The webhook, and the secret to give to its receiver; empty when ``secret`` refers to
        one. Raises InvalidInput, NotAllowed."""
        definition = {
            "url": url, "events": list(events), "headers": dict(headers or {}), "secret": secret,
            "timeout": timeout,
        }  # fmt: skip
        self._check(definition, trusted=trusted)
        id = f"wh_{ULID()}"
        with self._database.write() as connection:
            self._insert(connection, id, tenant, enabled, definition)
            row = self._there(connection, id, None)
        return _from_row(row), "" if secret else self._key.secret(id)

    def get(self, id: str, *, tenant: str | None = None) -> Webhook:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _from_row(self._there(connection, id, tenant))

    def list(self, *, tenant: str | None = None) -> tuple[Webhook, ...]:
        """Oldest first."""
        query = sa.select(webhooks).order_by(webhooks.c.created, webhooks.c.id)
        if tenant is not None:
            query = query.where(webhooks.c.tenant == tenant)
        with self._database.read() as connection:
            return tuple(_from_row(row) for row in connection.execute(query))

    def change(
        self, id: str, *, revision: int | None = None, trusted: bool = True, **fields: Any
    ) -> Webhook:
        """Set fields of `create`, and leave the others. Raises PreconditionFailed when ``revision``
        is not its own, Conflict for one of the settings file, InvalidInput, NotAllowed."""
        with self._database.write() as connection:
            row = self._ours(connection, id, revision)
            enabled = bool(fields.pop("enabled", row.enabled))
            definition = {**row.definition, **fields}
            definition["events"] = list(definition["events"])
            definition["headers"] = dict(definition["headers"])
            new = {name: definition[name] for name in fields}
            kept = {name: row.definition[name] for name in fields}
            self._check(definition, trusted=trusted or new == kept)
            self._update(connection, row, row.tenant, enabled, definition)
            return _from_row(self._there(connection, id, None))

    def delete(self, id: str, *, revision: int | None = None) -> None:
        """With its deliveries. Raises NotFound, PreconditionFailed, Conflict."""
        with self._database.write() as connection:
            self._remove(connection, self._ours(connection, id, revision))

    def declare(self, wanted: Iterable[WebhookSettings]) -> tuple[str, ...]:
        """Have exactly these of the settings file; gives the names of what was changed."""
        done = []
        with self._database.write() as connection:
            rows = {row.id: row for row in connection.execute(sa.select(webhooks))}
            names = {}
            for each in wanted:
                id = names[each.name] = _declared_id(each.name)
                definition = _declared(each)
                self._check(definition, trusted=True)
                row = rows.get(id)
                if row is None:
                    self._insert(connection, id, each.tenant, each.enabled, definition)
                elif _differs(row, each, definition):
                    self._update(connection, row, each.tenant, each.enabled, definition)
                else:
                    continue
                done.append(each.name)
            for id, row in rows.items():
                if row.definition.get("managed") and id not in names.values():
                    self._remove(connection, row)
                    done.append(row.definition["managed"])
        return tuple(sorted(done))

    def signing_secret(self, id: str) -> str:
        """``whsec_…`` that its deliveries are signed with. Raises NotFound, InvalidInput, and
        Conflict for one that was made under another key."""
        with self._database.read() as connection:
            definition = self._there(connection, id, None).definition
        if definition["secret"]:
            return resolve(definition["secret"])
        if definition["key"] != self._key.mark:
            raise Conflict(
                "the key of webhooks is another one than when this one was made",
                hint="Bring the key back (webhooks_key, or webhooks.key in the state folder), "
                "or delete the webhook and make it anew.",
            )
        return self._key.secret(id)

    # Deliveries.

    def deliveries(
        self,
        webhook: str | None = None,
        *,
        state: str | None = None,
        tenant: str | None = None,
        limit: int = 100,
        before: datetime | None = None,
    ) -> tuple[Delivery, ...]:
        """Newest first. Raises NotFound for a webhook that is not there, InvalidInput."""
        if state is not None and state not in STATES:
            raise InvalidInput(f"no delivery is {state}", hint=f"States are {', '.join(STATES)}.")
        query = sa.select(deliveries).order_by(deliveries.c.created.desc(), deliveries.c.id.desc())
        if webhook is not None:
            query = query.where(deliveries.c.webhook == webhook)
        if state is not None:
            query = query.where(deliveries.c.state == state)
        if before is not None:
            query = query.where(deliveries.c.created < to_number(before))
        if tenant is not None:
            mine = sa.select(webhooks.c.id).where(webhooks.c.tenant == tenant)
            query = query.where(deliveries.c.webhook.in_(mine))
        with self._database.read() as connection:
            if webhook is not None:
                self._there(connection, webhook, tenant)
            found = connection.execute(query.limit(max(1, min(limit, PAGE_MOST))))
            return tuple(delivery_of(row) for row in found)

    def redeliver(self, delivery: str, *, tenant: str | None = None) -> Delivery:
        """Try it again for another day, whatever became of it. Raises NotFound."""
        with self._database.write() as connection:
            row = connection.execute(
                sa.select(deliveries).where(deliveries.c.id == delivery)
            ).one_or_none()
            if row is None:
                raise NotFound(
                    f"there is no delivery {delivery}", hint="List those of its webhook."
                )
            self._there(connection, row.webhook, tenant)
            now = to_number(self._database.now())
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id == delivery)
                .values(state="waiting", next_attempt=now, delivered=None, attempts=0, said="")
            )
            return delivery_of(
                connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery)).one()
            )

    def test(self, id: str, *, tenant: str | None = None) -> Delivery:
        """Deliver a ``webhook.test`` now; look at the delivery for what came of it."""
        with self._database.write() as connection:
            self._there(connection, id, tenant)
            now = self._database.now()
            body = {
                "type": "webhook.test",
                "timestamp": now.isoformat(timespec="milliseconds"),
                "data": {"subject": f"webhooks/{id}"},
            }
            row = delivery_row(id, "webhook.test", body, now)
            connection.execute(sa.insert(deliveries).values(row))
            made = connection.execute(sa.select(deliveries).where(deliveries.c.id == row["id"]))
            return delivery_of(made.one())

    # Rows.

    def _check(self, definition: Mapping[str, Any], *, trusted: bool) -> None:
        url = definition["url"]
        if checks.is_reference(url):
            checks.reference(url, trusted=trusted)
        else:
            targets.parse(url, allow_private=self.allow_private)
        checks.events(definition["events"])
        checks.headers(definition["headers"], trusted=trusted)
        if definition["secret"]:
            checks.reference(definition["secret"], trusted=trusted)
        if not 0 < definition["timeout"] <= TIMEOUT_MOST:
            raise InvalidInput(
                "the webhook's timeout makes no sense", hint=f"Seconds, {TIMEOUT_MOST:.0f} at most."
            )

    def _ours(self, connection: Connection, id: str, revision: int | None) -> Row[Any]:
        row = self._there(connection, id, None)
        if row.definition.get("managed"):
            raise Conflict(
                f"the webhook '{row.definition['managed']}' stands in the daemon's settings file",
                hint="Change it there, and reload: systemctl reload hypervisord",
            )
        if revision is not None and revision != row.revision:
            raise PreconditionFailed(
                f"the webhook {id} was changed meanwhile", hint="Look at it again."
            )
        return row

    def _there(self, connection: Connection, id: str, tenant: str | None) -> Row[Any]:
        row = connection.execute(sa.select(webhooks).where(webhooks.c.id == id)).one_or_none()
        if row is None or tenant not in {None, row.tenant}:
            raise NotFound(
                f"there is no webhook {id}", hint="Webhooks are listed by: hyperctl webhooks list"
            )
        return row

    def _insert(
        self,
        connection: Connection,
        id: str,
        tenant: str,
        enabled: bool,
        definition: Mapping[str, Any],
    ) -> None:
        connection.execute(
            sa.insert(webhooks).values(
                id=id,
                tenant=tenant,
                revision=self._database.next_numbers(connection, _COUNTER),
                created=to_number(self._database.now()),
                enabled=enabled,
                definition={**definition, "key": self._key.mark, "since": _last_event(connection)},
            )
        )
        self._tell(connection, "created", id, tenant)

    def _update(
        self,
        connection: Connection,
        row: Row[Any],
        tenant: str,
        enabled: bool,
        definition: Mapping[str, Any],
    ) -> None:
        connection.execute(
            sa.update(webhooks)
            .where(webhooks.c.id == row.id)
            .values(
                tenant=tenant,
                enabled=enabled,
                revision=self._database.next_numbers(connection, _COUNTER),
                definition={**definition, **_own(row)},
            )
        )
        self._tell(connection, "changed", row.id, tenant)

    def _remove(self, connection: Connection, row: Row[Any]) -> None:
        connection.execute(sa.delete(deliveries).where(deliveries.c.webhook == row.id))
        connection.execute(sa.delete(webhooks).where(webhooks.c.id == row.id))
        self._tell(connection, "deleted", row.id, row.tenant)

    def _tell(self, connection: Connection, what: str, id: str, tenant: str) -> None:
        tell(self._database, connection, [(f"webhook.{what}", f"webhooks/{id}", tenant, {})])


def delivery_row(
    webhook: str, event: str, body: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """A delivery that is due now. Its id is the message's, the same at every attempt."""
    return {
        "id": f"msg_{ULID()}",
        "webhook": webhook,
        "event": event,
        "state": "waiting",
        "attempts": 0,
        "created": to_number(now),
        "next_attempt": to_number(now),
        "delivered": None,
        "said": "",
        "body": dict(body),
    }


def delivery_of(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        webhook=row.webhook,
        event=row.event,
        state=row.state,
        attempts=row.attempts,
        created=from_number(row.created),
        next_attempt=from_number(row.next_attempt),
        delivered=from_number(row.delivered),
        said=row.said,
    )


def _declared_id(name: str) -> str:
    """The same at every start, and none that anybody could have made."""
    return f"wh_settings_{hashlib.sha256(name.encode()).hexdigest()[:20]}"


def _declared(settings: WebhookSettings) -> dict[str, Any]:
    return {
        "url": settings.url,
        "events": list(settings.events),
        "headers": dict(settings.headers),
        "secret": settings.secret,
        "timeout": settings.timeout,
        "managed": settings.name,
    }


def _own(row: Row[Any]) -> dict[str, Any]:
    """What nobody changes: the mark of its key, and the last event before it was made."""
    return {name: row.definition[name] for name in ("key", "since")}


def _last_event(connection: Connection) -> int:
    """By number and not by time: clocks are set back."""
    last = connection.execute(
        sa.select(counters.c.value).where(counters.c.name == "events.number")
    ).scalar_one_or_none()
    return int(last or 0)


def _differs(row: Row[Any], settings: WebhookSettings, definition: Mapping[str, Any]) -> bool:
    whole = {**definition, **_own(row)}
    return (row.definition, row.tenant, row.enabled) != (whole, settings.tenant, settings.enabled)


def _from_row(row: Row[Any]) -> Webhook:
    definition = row.definition
    return Webhook(
        id=row.id,
        url=definition["url"],
        events=tuple(definition["events"]),
        tenant=row.tenant,
        headers=definition["headers"],
        secret=definition["secret"],
        timeout=definition["timeout"],
        enabled=row.enabled,
        managed=bool(definition.get("managed")),
        created=from_number(row.created),
        revision=row.revision,
    )
