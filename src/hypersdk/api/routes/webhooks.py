"""Whom to tell of events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Query, Request

from hypersdk.api.etags import Answered, IfMatch, tagged
from hypersdk.api.paging import Cursor, Limit, cursor_at, part, text_in
from hypersdk.api.records.estate import delivery_record, webhook_record
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.contract.base import Page
from hypersdk.contract.estate import (
    DeliveryRecord,
    NewWebhook,
    NewWebhookRecord,
    WebhookChange,
    WebhookRecord,
)
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidInput, NotFound
from hypersdk.model.estate import Webhook

_State = Annotated[Literal["waiting", "delivered", "dead"] | None, Query()]


def list_webhooks(
    services: WithServices, who: Who, limit: Limit = 50, cursor: Cursor = ""
) -> Page[WebhookRecord]:
    """Without their secrets."""
    found = services.webhooks.list(tenant=who.tenant or None)
    items, following = part(found, lambda each: each.id, of="webhooks", limit=limit, after=cursor)
    return Page[WebhookRecord](items=[webhook_record(each) for each in items], next=following)


def create_webhook(
    services: WithServices, who: Who, request: Request, body: NewWebhook
) -> Answered:
    """Receivers check the signature of each delivery with the secret (Standard Webhooks)."""
    made, secret = services.webhooks.create(
        body.url,
        events=body.events,
        tenant=who.tenant,
        headers=body.headers,
        secret=body.secret,
        timeout=body.timeout,
        enabled=body.enabled,
        trusted=not who.tenant,
    )
    note_change(request, f"webhooks/{made.id}", None, _seen(made))
    record = NewWebhookRecord(**webhook_record(made).model_dump(), secret=secret)
    return tagged(record, made.revision, at=f"/v1/webhooks/{made.id}")


def get_webhook(services: WithServices, who: Who, id: str) -> Answered:
    """Without its secret."""
    found = _webhook(services, who, id)
    return tagged(webhook_record(found), found.revision)


def replace_webhook(
    services: WithServices,
    who: Who,
    request: Request,
    id: str,
    body: WebhookChange,
    seen: IfMatch,
) -> Answered:
    """What is left out becomes what it is by default."""
    before = _webhook(services, who, id)
    after = services.webhooks.change(
        id,
        revision=seen,
        trusted=not who.tenant,
        url=body.url,
        events=body.events,
        headers=body.headers,
        timeout=body.timeout,
        enabled=body.enabled,
    )
    note_change(request, f"webhooks/{id}", _seen(before), _seen(after))
    return tagged(webhook_record(after), after.revision)


def delete_webhook(
    services: WithServices, who: Who, request: Request, id: str, seen: IfMatch
) -> None:
    """With its deliveries."""
    before = _webhook(services, who, id)
    services.webhooks.delete(id, revision=seen)
    note_change(request, f"webhooks/{id}", _seen(before), None)


def test_webhook(services: WithServices, who: Who, request: Request, id: str) -> DeliveryRecord:
    """What came of it, see its deliveries."""
    made = services.webhooks.test(id, tenant=who.tenant or None)
    note_change(request, f"webhooks/{id}", None, {"delivery": made.id})
    return delivery_record(made)


def list_deliveries(
    services: WithServices,
    who: Who,
    id: str,
    state: _State = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[DeliveryRecord]:
    """`state=dead`: those that were given up after a day."""
    found = services.webhooks.deliveries(
        id,
        state=state,
        tenant=who.tenant or None,
        limit=min(limit + 1, 1000),
        before=_moment(cursor),
    )
    chosen = found[: min(limit, 999)]
    more = len(found) > len(chosen)
    return Page[DeliveryRecord](
        items=[delivery_record(each) for each in chosen],
        next=cursor_at("deliveries", chosen[-1].created.isoformat()) if more else None,
    )


def redeliver(
    services: WithServices, who: Who, request: Request, id: str, delivery: str
) -> DeliveryRecord:
    """For another day, whatever became of it."""
    _webhook(services, who, id)
    made = services.webhooks.redeliver(delivery, tenant=who.tenant or None)
    if made.webhook != id:
        raise NotFound(f"the webhook {id} has no delivery {delivery}", hint="List its deliveries.")
    note_change(request, f"webhooks/{id}", None, {"delivery": delivery})
    return delivery_record(made)


def _webhook(services: Services, who: Principal, id: str) -> Webhook:
    return services.webhooks.get(id, tenant=who.tenant or None)


def _moment(cursor: str) -> datetime | None:
    text = text_in(cursor, "deliveries")
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            "the cursor is not one of the list of deliveries", hint="Begin anew without one."
        ) from error


def _seen(found: Webhook) -> dict[str, object]:
    """For the audit log."""
    return webhook_record(found).model_dump(mode="json", include={"url", "events", "enabled"})


HANDLERS = {
    "list_webhooks": list_webhooks,
    "create_webhook": create_webhook,
    "get_webhook": get_webhook,
    "replace_webhook": replace_webhook,
    "delete_webhook": delete_webhook,
    "test_webhook": test_webhook,
    "list_deliveries": list_deliveries,
    "redeliver": redeliver,
}
