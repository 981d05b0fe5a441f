"""Whom to tell of events."""

from __future__ import annotations

from hypersdk.contract.base import Page
from hypersdk.contract.estate import (
    DeliveryRecord,
    NewWebhook,
    NewWebhookRecord,
    WebhookChange,
    WebhookRecord,
)
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role

ROUTES: tuple[Route, ...] = (
    Route(
        name="list_webhooks",
        method="GET",
        path="/v1/webhooks",
        role=Role.VIEWER,
        scope="webhooks",
        summary="List webhooks",
        answer=Page[WebhookRecord],
    ),
    Route(
        name="create_webhook",
        method="POST",
        path="/v1/webhooks",
        role=Role.ADMIN,
        scope="webhooks",
        summary="Make a webhook; its secret is shown this once",
        body=NewWebhook,
        answer=NewWebhookRecord,
        status=201,
        also=(409,),
        action="webhook.create",
    ),
    Route(
        name="get_webhook",
        method="GET",
        path="/v1/webhooks/{id}",
        role=Role.VIEWER,
        scope="webhooks",
        summary="A webhook",
        answer=WebhookRecord,
        also=(304,),
    ),
    Route(
        name="replace_webhook",
        method="PUT",
        path="/v1/webhooks/{id}",
        role=Role.ADMIN,
        scope="webhooks",
        summary="Change a webhook as a whole; its secret stays",
        body=WebhookChange,
        answer=WebhookRecord,
        also=(409, 412),
        action="webhook.update",
    ),
    Route(
        name="delete_webhook",
        method="DELETE",
        path="/v1/webhooks/{id}",
        role=Role.ADMIN,
        scope="webhooks",
        summary="Remove a webhook",
        status=204,
        also=(409, 412),
        action="webhook.delete",
    ),
    Route(
        name="test_webhook",
        method="POST",
        path="/v1/webhooks/{id}/test",
        role=Role.ADMIN,
        scope="webhooks",
        summary="Send it a test event",
        answer=DeliveryRecord,
        status=201,
        also=(409,),
        action="webhook.test",
    ),
    Route(
        name="list_deliveries",
        method="GET",
        path="/v1/webhooks/{id}/deliveries",
        role=Role.VIEWER,
        scope="webhooks",
        summary="What was sent to it, and what was not taken; newest first",
        answer=Page[DeliveryRecord],
    ),
    Route(
        name="redeliver",
        method="POST",
        path="/v1/webhooks/{id}/deliveries/{delivery}/redeliver",
        role=Role.ADMIN,
        scope="webhooks",
        summary="Send a delivery again",
        answer=DeliveryRecord,
        also=(409,),
        action="webhook.redeliver",
    ),
)
