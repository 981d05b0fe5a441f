"""What stands before every handler: who asks, whether it may, how much it sends, and the audit log.

A route is guarded by its class (`guarded`), outside of what FastAPI does for it: a body is not even
read for somebody who may not send it. WebSockets have no class of ours; they depend on `guard`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from hypersdk.accounts.access import EVERY_TOKEN, HOW, Access, Credentials
from hypersdk.api import loopback
from hypersdk.api.bodies import StrictRequest
from hypersdk.api.idempotency import once
from hypersdk.api.limits import BoundedBody
from hypersdk.api.services import services_of
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import LOCAL, Principal
from hypersdk.model.errors import (
    AccessError,
    HyperSDKError,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    TooLarge,
    TooManyRequests,
)
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)

#: Of ``Sec-WebSocket-Protocol``: what follows is a token. Browsers cannot send other headers.
BEARER_PROTOCOL = "bearer."
_STREAM = "text/event-stream"
#: Refusals that changed nothing and say nothing of the caller's rights: not in the audit log.
_UNHEARD = (NotAuthenticated, TooManyRequests, TooLarge, InvalidInput)
_STATUSES_UNHEARD = frozenset({400, 401, 405, 413, 415, 422})

_Handle = Callable[[Request], Coroutine[Any, Any, Response]]


def guarded(route: Route) -> type[APIRoute]:
    """The class of FastAPI's route for ``route``."""

    class Guarded(APIRoute):
        ours = route

        def get_route_handler(self) -> _Handle:
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                return await _handle(request, route, inner)

            return handle

    return Guarded


def guard(route: Route) -> Callable[[HTTPConnection], Awaitable[None]]:
    """A dependency: whoever is not let in gets an error. Does nothing after `guarded` did it."""

    async def admitted(connection: HTTPConnection) -> None:
        if not hasattr(connection.state, "principal"):
            try:
                await admit(connection, route)
            except HyperSDKError as error:
                await _note(connection, route, error)
                raise
            await _note(connection, route, None)

    return admitted


async def admit(connection: HTTPConnection, route: Route) -> None:
    """Put the principal into ``connection.state``; None for nobody on a route for everybody.

    Raises NotAuthenticated, NotAllowed, TooManyRequests, DatabaseUnavailable.
    """
    access = services_of(connection).access
    principal = await _who(connection, route, access)
    if principal is LOCAL:
        loopback.check(connection, access.hosts, access.origins)
    connection.state.principal = principal
    if principal is None or route.role is None:
        return
    if principal is not LOCAL:
        access.rates.take(principal.token or f"user:{principal.user}")
    if not principal.role.covers(route.role):
        raise NotAllowed(
            f"this needs the role {route.role.value}, and {principal.user} acts as "
            f"{principal.role.value}",
            hint="Ask an administrator for the role, or for a token of somebody who has it.",
        )
    if principal.scopes and route.scope not in principal.scopes | EVERY_TOKEN:
        raise NotAllowed(
            f"the token is for {', '.join(sorted(principal.scopes))}, and this needs {route.scope}",
            hint=f"Make a token with the scope {route.scope}, or without scopes.",
        )


async def _who(connection: HTTPConnection, route: Route, access: Access) -> Principal | None:
    if route.role is None:
        # No credentials are looked at, but without accounts it is open to this machine only.
        seen = access.open_seen()
        return LOCAL if (await run_in_threadpool(access.open) if seen is None else seen) else None
    credentials = credentials_of(connection, route)
    found = access.recall(credentials)
    if found is None:
        found = await run_in_threadpool(access.authenticate, credentials, origin_of(connection))
    return found


def credentials_of(connection: HTTPConnection, route: Route) -> Credentials:
    """From ``Authorization``, ``X-API-Key``, for a WebSocket also its protocols. Never from the
    query, where logs keep it; but there may be a ticket, which is good once. Raises
    NotAuthenticated for a scheme that we do not know."""
    secret = credentials_in(connection.headers)
    if route.method == "WEBSOCKET" and not secret:
        for name in _protocols(connection):
            if name.startswith(BEARER_PROTOCOL):
                secret = name.removeprefix(BEARER_PROTOCOL)
    ticket = ""
    if route.method == "WEBSOCKET" or route.media == _STREAM:
        ticket = connection.query_params.get("ticket", "")
    return Credentials(secret, "" if secret else ticket)


def credentials_in(headers: Mapping[str, str]) -> str:
    """The token in the headers of a request; empty when there is none."""
    return _secret(headers.get("authorization", "")) or headers.get("x-api-key", "").strip()


def protocol_of(socket: WebSocket) -> str | None:
    """The first offered protocol of a WebSocket that is no token; accept the socket with it, for
    browsers want one of those that they offered."""
    for name in _protocols(socket):
        if not name.startswith(BEARER_PROTOCOL):
            return name
    return None


def origin_of(connection: HTTPConnection) -> str:
    """Address of the caller; empty over a Unix socket."""
    return connection.client.host if connection.client is not None else ""


async def _origin(connection: HTTPConnection) -> str:
    return origin_of(connection)  # asynchronous: a plain function would cost a thread


#: Parameter of a handler: address of the caller.
Origin = Annotated[str, Depends(_origin)]


def note_change(
    request: Request,
    subject: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
) -> None:
    """Say what a handler changed, for the audit log; secrets are taken out there."""
    request.state.change = (subject, before, after)


def note_principal(request: Request, principal: Principal) -> None:
    """Say who it was, on a route for everybody."""
    request.state.principal = principal


async def _handle(request: Request, route: Route, inner: _Handle) -> Response:
    bounded = BoundedBody(request.receive, route.body_most)
    request = StrictRequest(request.scope, bounded.receive)
    try:
        await admit(request, route)
        bounded.check(request.headers)
        response = await once(request, route, inner)
    except Exception as error:
        # What FastAPI makes of an error while it reads a body is not what happened.
        true = bounded.error or error
        await _note(request, route, true)
        if true is error:
            raise
        raise true from None
    if not getattr(request.state, "replayed", False):
        await _note(request, route, response.status_code)
    return response


async def _note(connection: HTTPConnection, route: Route, happened: Exception | int | None) -> None:
    """Write the entry of the audit log, for routes that have one."""
    outcome = _outcome(happened)
    if not route.action or not outcome:
        return
    default = (connection.url.path.removeprefix("/v1").strip("/"), None, None)
    subject, before, after = getattr(connection.state, "change", default)
    done = outcome == "done"
    try:
        await run_in_threadpool(
            services_of(connection).audit.record,
            getattr(connection.state, "principal", None),
            origin_of(connection),
            route.action,
            subject,
            outcome=outcome,
            before=before if done else None,
            after=after if done else None,
            request_id=connection.scope.get("state", {}).get("request_id", ""),
        )
    except HyperSDKError as error:
        # It was done already: to say that it was not would make the caller do it again.
        _log.error("an audit entry is lost", action=route.action, subject=subject,
                   outcome=outcome, error=str(error))  # fmt: skip


def _outcome(happened: Exception | int | None) -> str:
    """``done``, ``refused`` or the class of the error; empty: not worth an entry."""
    if happened is None:
        return "done"
    if isinstance(happened, int):
        if happened < 400:
            return "done"
        return "" if happened in _STATUSES_UNHEARD else f"HTTP {happened}"
    if isinstance(happened, (RequestValidationError, HTTPException, *_UNHEARD)):
        return ""
    return "refused" if isinstance(happened, AccessError) else type(happened).__name__


def _secret(authorization: str) -> str:
    scheme, blank, rest = authorization.strip().partition(" ")
    if not blank:
        return scheme  # the token alone, as it was known before
    if scheme.lower() == "bearer":
        return rest.strip()
    raise NotAuthenticated(
        f"the scheme {scheme[:20]!r} of Authorization is not known",
        hint=HOW,
    )


def _protocols(connection: HTTPConnection) -> list[str]:
    offered = connection.headers.get("sec-websocket-protocol", "")
    return [name.strip() for name in offered.split(",") if name.strip()]
