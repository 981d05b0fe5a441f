"""Events as they happen."""

from __future__ import annotations

from hypersdk.contract.base import Page
from hypersdk.contract.estate import EventRecord
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role

ROUTES: tuple[Route, ...] = (
    Route(
        name="stream_events",
        method="GET",
        path="/v1/events",
        role=Role.VIEWER,
        scope="events",
        summary="Follow events, as server-sent events",
        media="text/event-stream",
    ),
    Route(
        name="list_events",
        method="GET",
        path="/v1/events/past",
        role=Role.VIEWER,
        scope="events",
        summary="List events that are kept, oldest first",
        answer=Page[EventRecord],
    ),
    Route(
        name="follow_events",
        method="WEBSOCKET",
        path="/v1/events/ws",
        role=Role.VIEWER,
        scope="events",
        summary="Follow events, one JSON object in each message",
    ),
)
