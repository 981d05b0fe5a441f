"""What a route is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypersdk.model.accounts import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route. Whatever is not said here, neither server nor client knows."""

    #: Unique; the server's function and the client's call bear it: ``list_jobs``.
    name: str
    #: ``GET``, ``POST``, ``PUT``, ``PATCH``, ``DELETE`` or ``WEBSOCKET``.
    method: str
    #: ``/v1/jobs/{id}``; parameters in braces, ``{path:path}`` takes slashes.
    path: str
    #: Who may; None: anybody, also without credentials.
    role: Role | None
    #: Part of the API it belongs to: a token with scopes needs this one; the tag in OpenAPI.
    scope: str
    #: First line for people.
    summary: str
    #: Pydantic class of the body; None: no body.
    body: Any = None
    #: Pydantic class of the answer; None: no content, or not JSON (see ``media``).
    answer: Any = None
    status: int = 200
    #: Further statuses it may answer with, besides 400 401 403 404 405 422 429 500 503.
    also: tuple[int, ...] = ()
    #: Media type of the answer, when it is not JSON.
    media: str = ""
    #: What is written into the audit log for every call that changes something: ``job.cancel``;
    #: empty for those that only look.
    action: str = ""
    #: Bytes of body; uploads have their own bound.
    body_most: int = 10 << 20
    #: False for routes kept as they were known before ``/v1``.
    versioned: bool = field(default=True)

    @property
    def changes(self) -> bool:
        return bool(self.action)
