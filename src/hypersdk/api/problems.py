"""Errors as answers: `contract.base.Problem` for ``/v1``, the older form for what was known before.

Messages leave here without secrets. What is nobody's fault but ours is logged with its traceback,
and its answer says no more than where to look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from hypersdk.api.names import fields_at, nearest, path_of
from hypersdk.contract.base import FieldProblem, OldError, Problem
from hypersdk.contract.routing import Route
from hypersdk.model.errors import (
    HyperSDKError,
    NotAuthenticated,
    RequestRunning,
    TooManyRequests,
)
from hypersdk.observe.log import get_logger
from hypersdk.observe.redact import redact_text

TYPES = "https://hypersdk.dev/problems/"
MEDIA = "application/problem+json"
#: Errors that one request may list.
_FIELDS_MOST = 100
#: Statuses of ours that mean something else in HTTP: a part of the daemon that was interrupted,
#: and one that succeeded in part.
_TRANSLATED = {499: 503, 207: 502}

_log = get_logger(__name__)

_WORDS = {
    400: ("InvalidInput", "The request cannot be read.", "See docs/api.md for how it is written."),
    404: ("NotFound", "There is no such route.", "Routes are listed at /v1/docs."),
    405: ("MethodNotAllowed", "This route has no such method.", "See the header Allow."),
    413: ("TooLarge", "The body is longer than this route takes.", "Send less at a time."),
}


def install(app: FastAPI) -> None:
    """Have every error of a handler answered here."""
    app.add_exception_handler(HyperSDKError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def answer(
    connection: HTTPConnection,
    error: HyperSDKError,
    *,
    status: int | None = None,
    fields: Sequence[FieldProblem] = (),
) -> Response:
    """The response that tells of ``error``."""
    wait = _wait(error)
    found = error.http_status if status is None else status
    return _response(
        connection,
        Problem(
            type=TYPES + type(error).__name__,
            title=_title(type(error).__name__),
            status=_TRANSLATED.get(found, found),
            detail=redact_text(error.message),
            hint=redact_text(error.hint),
            instance=connection.url.path,
            retryable=error.retryable,
            errors=list(fields),
            retry_after=wait,
            request_id=_request_id(connection),
        ),
        _headers(error, wait),
    )


def fault(connection: HTTPConnection, error: BaseException) -> Response:
    """The response to what should not have happened; it is logged."""
    _log.error("a request failed", path=connection.url.path, exc_info=error)
    return _response(
        connection,
        Problem(
            type=TYPES + "InternalError",
            title="Internal error",
            status=500,
            detail="The daemon failed to answer this request.",
            hint=f"Its log says more: look for {_request_id(connection) or 'the time'}.",
            instance=connection.url.path,
            request_id=_request_id(connection),
        ),
        {},
    )


def route_of(connection: HTTPConnection) -> Route | None:
    """Our route of a request; None when no path fitted."""
    return getattr(connection.scope.get("route"), "ours", None)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, HyperSDKError)
    if error.http_status >= 500 and not error.retryable:
        _log.warning("a request was not done", error=type(error).__name__, message=error.message)
    return answer(request, error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind, detail, hint = _WORDS.get(error.status_code, ("HTTPError", str(error.detail), ""))
    problem = Problem(
        type=TYPES + kind,
        title=_title(kind),
        status=error.status_code,
        detail=detail,
        hint=hint,
        instance=request.url.path,
        request_id=_request_id(request),
    )
    return _response(request, problem, error.headers or {})


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    route = route_of(request)
    body = route.body if route is not None else None
    fields = [_field(each, body) for each in error.errors()[:_FIELDS_MOST]]
    return invalid(request, fields)


def invalid(request: HTTPConnection, fields: Sequence[FieldProblem]) -> Response:
    """The response to a request with wrong fields."""
    first = fields[0] if fields else FieldProblem(field="body", message="cannot be read")
    more = f", and {len(fields) - 1} more" if len(fields) > 1 else ""
    problem = Problem(
        type=TYPES + "InvalidInput",
        title=_title("InvalidInput"),
        status=422 if _versioned(request) else 400,
        detail=redact_text(f"{first.field}: {first.message}{more}"),
        hint="Correct the fields that are named; /v1/docs has the schema.",
        instance=request.url.path,
        errors=list(fields),
        request_id=_request_id(request),
    )
    return _response(request, problem, {})


def _field(error: Mapping[str, Any], body: Any) -> FieldProblem:
    place = error["loc"]
    if error["type"] == "json_invalid":
        said = error.get("ctx", {}).get("error", "")
        return FieldProblem(field="body", message=f"is not JSON: {said}")
    if error["type"] == "extra_forbidden":
        meant = nearest(str(place[-1]), fields_at(body, place[1:-1]))
        message = "there is no such field" + (f"; did you mean {meant}?" if meant else "")
        return FieldProblem(field=path_of(place), message=message)
    said = str(error["msg"]).removeprefix("Value error, ")
    return FieldProblem(field=path_of(place), message=redact_text(_lower(said)))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _response(connection: HTTPConnection, problem: Problem, headers: Mapping[str, str]) -> Response:
    record: BaseModel = problem
    media = MEDIA
    if not _versioned(connection):
        record = OldError(error=problem.detail, hint=problem.hint, timestamp=datetime.now(UTC))
        media = "application/json"
    return Response(
        record.model_dump_json(exclude_none=True),
        status_code=problem.status,
        media_type=media,
        headers=dict(headers),
    )


def _versioned(connection: HTTPConnection) -> bool:
    route = route_of(connection)
    return route.versioned if route is not None else connection.url.path.startswith("/v1")


def _wait(error: HyperSDKError) -> float | None:
    if isinstance(error, TooManyRequests):
        return error.after
    soon = isinstance(error, RequestRunning) or error.http_status == 503
    return 1.0 if error.retryable and soon else None


def _headers(error: HyperSDKError, wait: float | None) -> dict[str, str]:
    headers = {}
    if wait is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    if isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="hypersdk"'
    return headers


def _title(name: str) -> str:
    """``HypervisorUnreachable`` → ``Hypervisor unreachable``."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return words.strip().capitalize()


def _request_id(connection: HTTPConnection) -> str:
    return str(connection.scope.get("state", {}).get("request_id", ""))
