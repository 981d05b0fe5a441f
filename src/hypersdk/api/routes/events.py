"""Events as they happen, and those that are kept."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Header, Query, Request, WebSocket
from pydantic import AwareDatetime
from starlette.responses import Response

from hypersdk.api.feed import Wanted
from hypersdk.api.paging import Cursor, Limit, cursor_at, number_in
from hypersdk.api.pools import pools_of
from hypersdk.api.records.estate import event_record
from hypersdk.api.services import SocketServices, Who, WithServices
from hypersdk.api.streams import event_socket, event_stream
from hypersdk.contract.base import Page
from hypersdk.contract.estate import EventRecord
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidInput

_Names = Annotated[
    list[str], Query(max_length=100, description="Names or groups (`job.*`); none: all")
]
_Subjects = Annotated[
    list[str], Query(max_length=1000, description="What they are about: `jobs/01J…`")
]
_After = Annotated[
    int | None, Query(ge=0, lt=1 << 63, description="Begin with the events after this number")
]
_Since = Annotated[AwareDatetime | None, Query(description="Begin with the events of this moment")]
#: Events that are looked through for one part of a list.
_LOOKED_THROUGH = 10_000


async def stream_events(
    services: WithServices,
    who: Who,
    request: Request,
    types: _Names = [],  # noqa: B006 - FastAPI copies it
    subject: _Subjects = [],  # noqa: B006
    after: _After = None,
    ticket: Annotated[str, Query(max_length=1000, description="Instead of a token")] = "",  # noqa: ARG001 - `security` takes it
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Each has its number as `id`; who comes back with `Last-Event-ID` misses none. `job.progress`
    has none, since only the newest matters. `gap` says that something was missed after all. A line
    that begins with a colon is a sign of life, every 15 seconds. A stream ends after an hour, and
    within a minute after its token was revoked."""
    start = after if last_event_id is None else _number(last_event_id)
    return event_stream(
        services.feed,
        pools_of(request),
        _wanted(who, types, subject),
        start,
        partial(services.access.valid, who),
    )


async def follow_events(
    services: SocketServices,
    who: Who,
    socket: WebSocket,
    types: _Names = [],  # noqa: B006
    subject: _Subjects = [],  # noqa: B006
    after: _After = None,
) -> None:
    """As `stream_events`."""
    await event_socket(
        socket,
        services.feed,
        pools_of(socket),
        _wanted(who, types, subject),
        after,
        partial(services.access.valid, who),
    )


def list_events(
    services: WithServices,
    who: Who,
    types: _Names = [],  # noqa: B006
    subject: _Subjects = [],  # noqa: B006
    after: _After = None,
    since: _Since = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[EventRecord]:
    """Those that do not fit the filters are passed over; a part may then be shorter than asked
    for, and `next` leads on."""
    wanted = _wanted(who, types, subject)
    place = number_in(cursor, "events")
    if place is not None:
        at = place
    else:
        at = max(after or 0, services.events.before(since) if since else 0)
    found, looked = [], 0
    while looked < _LOOKED_THROUGH:
        page = services.events.since(at, limit=1000)
        for event in page:
            at = event.number
            if wanted.takes(event.name, event.subject, event.tenant):
                found.append(event_record(event))
                if len(found) == limit:
                    return _page(found, at)
        looked += len(page)
        if len(page) < 1000:
            return _page(found, None)
    return _page(found, at)


def _page(found: list[EventRecord], at: int | None) -> Page[EventRecord]:
    return Page[EventRecord](items=found, next=None if at is None else cursor_at("events", at))


def _wanted(who: Principal, types: list[str], subjects: list[str]) -> Wanted:
    return Wanted(who.tenant or None, frozenset(types), frozenset(subjects))


def _number(text: str) -> int:
    if text.isdecimal() and text.isascii() and len(text) < 19:
        return int(text)
    raise InvalidInput(
        "the header Last-Event-ID holds no number of an event",
        hint="Send back the last id that came, or leave it out.",
    )


HANDLERS = {
    "stream_events": stream_events,
    "follow_events": follow_events,
    "list_events": list_events,
}
