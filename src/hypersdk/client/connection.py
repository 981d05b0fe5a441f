"""One connection to a daemon: routes of the table become requests, answers become records."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from hypersdk.config.secrets import SecretReference, resolve
from hypersdk.contract.routes import route_named
from hypersdk.contract.routing import Route
from hypersdk.model.errors import DaemonRefused, DaemonUnreachable, InvalidInput

DEFAULT_URL = "http://localhost:8080"
URL_VARIABLE = "HYPERVISORD_URL"
#: Holds a token itself, as set by a person or a secret store.
TOKEN_VARIABLE = "HYPERCTL_TOKEN"  # noqa: S105 - a name
#: Seconds for one answer, and between two parts of a stream.
TIMEOUT = 60.0
_SOCKET_PREFIX = "unix:"


class Connection:
    """Safe in threads. Raises DaemonUnreachable, DaemonRefused, InvalidInput."""

    def __init__(
        self,
        url: str = "",
        *,
        token: str = "",
        ca_file: Path | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        """``url``: ``http://…``, ``https://…`` or ``unix:/path/to/socket``; empty: of the
        environment, or the local daemon. ``token``: a reference (``keyring:…``); empty: of the
        environment. ``ca_file``: PEM of whoever signed the daemon's certificate."""
        self.url = (url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).rstrip("/")
        self._http = httpx.Client(
            base_url=self._base(),
            transport=self._transport(ca_file),
            headers=_headers(token),
            timeout=httpx.Timeout(timeout, connect=10.0),
            follow_redirects=False,  # a token is for this daemon only
        )

    @property
    def socket(self) -> str:
        """Path of the Unix socket; empty for a network address."""
        return self.url.removeprefix(_SOCKET_PREFIX) if self.url.startswith(_SOCKET_PREFIX) else ""

    def call(
        self,
        name: str,
        path: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | Iterator[bytes] | None = None,
    ) -> Any:
        """Call a route by its name. ``path`` and ``query``: its parameters; ``body``: a record or
        JSON; ``content``: bytes instead. Gives the record of its answer, JSON, or bytes."""
        route = route_named(name)
        answer = self._send(
            route,
            url=_path(route, path or {}),
            params=_query(query or {}),
            json=_json(body) if body is not None else None,
            content=content,
            headers=dict(headers or {}),
        )
        return _decoded(route, answer)

    @contextmanager
    def stream(
        self, name: str, path: Mapping[str, str] | None = None, **more: Any
    ) -> Iterator[httpx.Response]:
        """The answer of a route while it arrives. Of one that follows events, a sign of life comes
        every 15 seconds: one that is silent for `TIMEOUT` is broken."""
        route = route_named(name)
        try:
            with self._http.stream(
                route.method,
                _path(route, path or {}),
                params=_query(more.get("query") or {}),
                headers=dict(more.get("headers") or {}),
                timeout=TIMEOUT,
            ) as answer:
                if answer.is_error:
                    answer.read()
                    raise refused(answer)
                yield answer
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        self._http.close()

    def _send(self, route: Route, *, url: str, **more: Any) -> httpx.Response:
        given = {name: value for name, value in more.items() if value is not None}
        try:
            answer = self._http.request(route.method, url, **given)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if answer.is_error:
            raise refused(answer)
        return answer

    def _base(self) -> str:
        if self.socket:
            return "http://localhost"
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(
                f"'{self.url}' is no URL of a daemon",
                hint="Write http://HOST:PORT, https://HOST:PORT or unix:/PATH/OF/SOCKET.",
            )
        if parts.password or parts.username:
            raise InvalidInput(
                "a URL must not hold a password",
                hint="Keep a token with: hyperctl login; or set HYPERCTL_TOKEN.",
            )
        return self.url

    def _transport(self, ca_file: Path | None) -> httpx.BaseTransport:
        if self.socket:
            return httpx.HTTPTransport(uds=self.socket)
        if not self.url.startswith("https:"):
            return httpx.HTTPTransport()
        try:
            context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except (OSError, ssl.SSLError) as error:
            raise InvalidInput(
                f"{ca_file} holds no certificates: {error}", hint="Give a PEM file."
            ) from error
        return httpx.HTTPTransport(verify=context)

    def _unreachable(self, error: httpx.TransportError) -> DaemonUnreachable:
        said = str(error) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in said:
            hint = "Name who signed its certificate: --ca-file FILE."
        elif self.socket or urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1"):
            hint = "Is it running? Start it with: hypervisord"
        else:
            hint = f"Is it running, and is {URL_VARIABLE} or -daemon right?"
        return DaemonUnreachable(f"no daemon answers at {self.url}: {said}", hint=hint)


def refused(answer: httpx.Response) -> DaemonRefused:
    """The error that the daemon answered with, in either of its shapes."""
    try:
        said = answer.json()
    except ValueError:
        said = {}
    if not isinstance(said, dict):
        said = {}
    message = str(said.get("detail") or said.get("error") or answer.reason_phrase)
    fields = [
        f"{each.get('field')}: {each.get('message')}"
        for each in said.get("errors") or ()
        if isinstance(each, dict)
    ]
    if fields and not any(each in message for each in fields):
        message = "; ".join([message, *fields])
    elif len(fields) > 1:  # the message has the first of them
        message = "; ".join(fields)
    hint = str(said.get("hint") or "")
    if answer.status_code == httpx.codes.UNAUTHORIZED and not _logging_in(answer):
        hint = f"Log in with: hyperctl login; or set {TOKEN_VARIABLE}."  # what we can do
    kind = str(said.get("type") or "").rpartition("/")[2]
    return DaemonRefused(message, hint=hint, status=answer.status_code, kind=kind)


def _logging_in(answer: httpx.Response) -> bool:
    return answer.request.url.path == route_named("login").path


def _headers(token: str) -> dict[str, str]:
    secret = os.environ.get(TOKEN_VARIABLE, "")
    if token:
        SecretReference.parse(token)  # never a token itself: it would stand in arguments
        secret = resolve(token)
    found = {"Accept": "application/json, application/problem+json"}
    if secret:
        found["Authorization"] = f"Bearer {secret}"
    return found


def _path(route: Route, given: Mapping[str, str]) -> str:
    path = route.path
    for name, value in given.items():
        if f"{{{name}:path}}" in path:
            path = path.replace(f"{{{name}:path}}", quote(value, safe="/"))
        else:
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def _query(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _json(value) for name, value in given.items() if value not in (None, "", [], ())}


def _json(body: Any) -> Any:
    """Records, also in mappings and lists, become JSON, with what was not set left out."""
    dump: Callable[..., Any] | None = getattr(body, "model_dump", None)
    if dump is not None:
        return dump(mode="json", exclude_unset=True)
    if isinstance(body, Mapping):
        return {name: _json(each) for name, each in body.items()}
    if isinstance(body, list | tuple):
        return [_json(each) for each in body]
    return body.isoformat() if isinstance(body, date | time) else body


def _decoded(route: Route, answer: httpx.Response) -> Any:
    if answer.status_code == httpx.codes.NO_CONTENT or not answer.content:
        return None
    if "json" not in answer.headers.get("content-type", ""):
        return answer.content
    if route.answer is None:
        return answer.json()
    return route.answer.model_validate(answer.json())
