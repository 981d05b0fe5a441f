"""``Idempotency-Key``: a change that is asked for twice is made once, and answered alike.

Only answers that say "done" are kept, for a day. After an error nothing is kept, and the next
request with the key is carried out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hypersdk.accounts.answers import Answer, AnswerStore
from hypersdk.api.services import services_of
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidInput

HEADER = "Idempotency-Key"
#: Of an answer that was given before.
REPLAYED = "Idempotency-Replayed"
#: Characters of a key.
KEY_MOST = 255
#: Bytes of bodies that are looked at; uploads are longer and take no key.
BODY_MOST = 10 << 20
#: Heads of answers that are kept; the others are made anew.
_HEADS = ("content-type", "etag", "location")


async def once(
    request: Request, route: Route, inner: Callable[[Request], Awaitable[Response]]
) -> Response:
    """The answer of ``inner``, or the one that it gave when the same request came before.

    Raises InvalidInput, IdempotencyMismatch, RequestRunning.
    """
    key = request.headers.get(HEADER)
    principal = request.state.principal
    if key is None or route.method != "POST" or not route.changes or principal is None:
        return await inner(request)
    _check(key, route)
    store = AnswerStore(services_of(request).database)
    digest = _digest(request, await request.body())
    kept = await run_in_threadpool(store.begin, principal, key, digest)
    if kept is not None:
        # Nothing was done now; `security` notes nothing.
        request.state.replayed = True
        return Response(kept.body, kept.status, {**kept.headers, REPLAYED: "true"})
    return await _carried_out(store, principal, key, request, inner)


async def _carried_out(
    store: AnswerStore,
    principal: Principal,
    key: str,
    request: Request,
    inner: Callable[[Request], Awaitable[Response]],
) -> Response:
    done = False
    try:
        response = await inner(request)
        if response.status_code < 400 and isinstance(getattr(response, "body", None), bytes):
            heads = {name: response.headers[name] for name in _HEADS if name in response.headers}
            answer = Answer(response.status_code, heads, bytes(response.body))
            await run_in_threadpool(store.finish, principal, key, answer)
            done = True
        return response
    finally:
        if not done:
            await run_in_threadpool(store.give_up, principal, key)


def _check(key: str, route: Route) -> None:
    if not 0 < len(key) <= KEY_MOST or not key.isprintable():
        raise InvalidInput(
            f"the {HEADER} has {len(key)} characters",
            hint=f"Take 1 to {KEY_MOST} printable ones, such as a UUID.",
        )
    if route.body_most > BODY_MOST:
        raise InvalidInput(
            f"an upload takes no {HEADER}", hint="Leave it out; an upload may be repeated."
        )


def _digest(request: Request, body: bytes) -> str:
    """Of all that is asked for."""
    query = request.scope["query_string"]
    head = f"{request.method} {request.url.path}".encode() + b"?" + query + b"\0"
    head += request.headers.get("content-type", "").encode() + b"\0"
    head += request.headers.get("if-match", "").encode() + b"\0"
    return hashlib.sha256(head + body).hexdigest()
