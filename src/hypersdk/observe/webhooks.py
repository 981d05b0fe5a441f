"""Tell another program of an event: a POST of JSON, signed so that it can trust it.

Signed as https://www.standardwebhooks.com describes: the headers ``webhook-id``,
``webhook-timestamp`` and ``webhook-signature``. The id stays the same when a delivery is repeated,
so that the other end can tell a repetition from a second event.

URLs of chat services are secrets themselves: nothing here prints or logs more than their host.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from hypersdk.model.errors import InvalidInput, MissingRequirement
from hypersdk.observe.notify import NotificationFailed
from hypersdk.observe.redact import redact

#: What the other end understands: events as JSON, or the message of a chat.
KINDS = ("generic", "slack", "discord")
#: Seconds for one attempt to connect, send, and receive; each.
TIMEOUT = 10.0
ATTEMPTS = 4
#: Seconds before the second attempt; doubled before each further one.
_FIRST_WAIT = 0.5
#: Seconds that we wait at most, even if the other end asks for more.
_LONGEST_WAIT = 30.0
#: Answers after which the same request may succeed.
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Redirects that keep method and body.
_KEEPING = frozenset({307, 308})
#: Discord refuses longer messages.
_DISCORD_MOST = 2000
_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why an attempt failed."""

    said: str
    #: The same request may succeed later.
    again: bool
    #: Seconds that the other end asks to wait.
    after: float = 0.0


def send_webhook(
    url: str,
    event: str,
    payload: Mapping[str, Any],
    secret: str = "",
    *,
    kind: str = "generic",
    text: str = "",
    timeout: float = TIMEOUT,
    attempts: int = ATTEMPTS,
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """Deliver one event: ``{"type": event, "timestamp": …, "data": payload}``.

    ``secret``: ``whsec_`` and base64, or base64 alone; empty: not signed. ``kind``: `KINDS`; the
    chat services get ``text`` instead and know no signatures. Secrets in ``payload`` and ``text``
    are masked.

    Refused connections, silence and answers that say "later" are tried again, waiting longer each
    time. A redirect is followed only on the same host. Raises InvalidInput, NotificationFailed, and
    MissingRequirement without the library standardwebhooks.
    """
    parts = _checked(url)
    body = _body(kind, event, payload, text)
    identity = f"msg_{uuid.uuid4().hex}"
    sign = _signer(secret) if secret else None
    delay = _FIRST_WAIT
    for attempt in range(1, attempts + 1):
        headers = {"content-type": "application/json", "user-agent": "hypersdk"}
        if sign is not None:
            headers |= sign(identity, body)
        request = Request(url, body, headers, method="POST")  # noqa: S310 - checked above
        failure = _attempt(request, timeout)
        if failure is None:
            return
        if not failure.again or attempt == attempts:
            raise _failed(parts, failure, attempt)
        wait(min(max(delay, failure.after), _LONGEST_WAIT))
        delay *= 2


def signature(secret: str, identity: str, body: bytes) -> dict[str, str]:
    """The headers that sign ``body`` now, for those who deliver by themselves. ``identity`` stays
    the same when a delivery is repeated. Raises InvalidInput, MissingRequirement."""
    return _signer(secret)(identity, body)


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidInput("the webhook's URL is none", hint=_HINT_URL) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInput("the webhook's URL is not http:// or https://", hint=_HINT_URL)
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "the webhook's URL holds a user or password",
            hint="Have the receiver check signatures instead, and give their secret.",
        )
    return parts


_HINT_URL = "Write it like https://example.org/hooks/exports."


def _body(kind: str, event: str, payload: Mapping[str, Any], text: str) -> bytes:
    message = str(redact(text or event))
    match kind:
        case "generic":
            now = datetime.now(UTC).isoformat(timespec="seconds")
            document = {"type": event, "timestamp": now, "data": redact(dict(payload))}
        case "slack":
            document = {"text": message}
        case "discord":
            document = {"content": message[:_DISCORD_MOST]}
        case _:
            raise InvalidInput(f"'{kind}' is no kind of webhook", hint=f"Use {', '.join(KINDS)}.")
    return json.dumps(document, ensure_ascii=False).encode()


def _signer(secret: str) -> Callable[[str, bytes], dict[str, str]]:
    """Headers for an id and a body, at the time of the call."""
    try:
        from standardwebhooks import Webhook  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise MissingRequirement(
            "signed webhooks need the library standardwebhooks",
            hint="Install it with: pip install 'hypersdk[export]'",
        ) from error
    webhook = Webhook(_key(secret))

    def sign(identity: str, body: bytes) -> dict[str, str]:
        now = datetime.now(UTC)
        return {
            "webhook-id": identity,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": webhook.sign(identity, now, body.decode()),
        }

    return sign


def _key(secret: str) -> bytes:
    """The library would take any text, and sign with what is left of it."""
    encoded = secret.strip().removeprefix(_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise InvalidInput(
            "the webhook's secret is not whsec_ followed by base64",
            hint="Make one with: echo whsec_$(openssl rand -base64 32)",
        )
    return key


class _SameHost(HTTPRedirectHandler):
    """Follows redirects that keep the request as it is, and only on the host that was named."""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],  # noqa: ARG002 - the library's signature
        code: int,
        msg: str,  # noqa: ARG002
        headers: Message,  # noqa: ARG002
        newurl: str,
    ) -> Request | None:
        if code not in _KEEPING or _host(newurl) != _host(req.full_url):
            return None  # the answer is treated as the error that it is
        headers_ = dict(req.header_items())
        return Request(newurl, req.data, headers_, method="POST")  # noqa: S310 - same scheme


def _host(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _attempt(request: Request, timeout: float) -> _Failure | None:
    try:
        with build_opener(_SameHost).open(request, timeout=timeout):
            return None
    except HTTPError as error:
        error.close()
        if 300 <= error.code < 400:
            return _Failure("it redirects elsewhere, which is not followed", again=False)
        return _Failure(
            f"it answered {error.code} {error.reason}".rstrip(),
            again=error.code in _AGAIN,
            after=_seconds(error.headers.get("retry-after", "")),
        )
    except URLError as error:
        return _Failure(_reason(error.reason), again=True)
    except (OSError, http.client.HTTPException) as error:
        return _Failure(_reason(error), again=True)


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return type(error).__name__ if isinstance(error, Exception) else str(error)


def _seconds(text: str) -> float:
    """Of ``Retry-After``; 0 for a date, which we do not obey."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0.0


def _failed(parts: SplitResult, failure: _Failure, attempts: int) -> NotificationFailed:
    tries = f" ({attempts} attempts)" if attempts > 1 else ""
    return NotificationFailed(
        f"the webhook on {parts.hostname} was not delivered: {failure.said}{tries}",
        hint="Check its URL and secret, and that it can be reached from here.",
    )
