"""Who may call a daemon that needs no credentials: programs on this machine, and no web page.

A page of anywhere, open in a browser on this machine, can send requests to ``localhost`` (CSRF),
and by pointing a name of its own at 127.0.0.1 it can read the answers too (DNS rebinding). Its
browser says so: in ``Origin`` stands the page's place, and in ``Host`` the name that it used.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from hypersdk.model.errors import NotAllowed

#: Set by proxies: whoever asks through one is not on this machine.
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_ACCOUNTS = "Make an account (hypervisord users add NAME --role admin), and send its token."


def check(connection: HTTPConnection, hosts: Collection[str], origins: Collection[str]) -> None:
    """Raise NotAllowed for a request that does not come from a program on this machine.

    ``hosts`` and ``origins`` are names besides those of loopback, in lower case.
    """
    client = connection.client
    if client is None or not client.host:
        return  # a Unix socket: browsers do not reach it
    if not _loopback(client.host):
        raise NotAllowed(f"without accounts, {client.host} may not call", hint=_ACCOUNTS)
    for name in FORWARDED:
        if name in connection.headers:
            raise NotAllowed(f"without accounts, no proxy may call ({name})", hint=_ACCOUNTS)
    host = _name(connection.headers.get("host", ""))
    if not (_loopback(host) or host in hosts):
        raise NotAllowed(
            f"the request is for the host {host[:100]!r}, which is not this daemon",
            hint="Call it as localhost, or add the name to allowed_hosts.",
        )
    _check_page(connection, origins)


def _check_page(connection: HTTPConnection, origins: Collection[str]) -> None:
    """Programs send neither header; a browser sends ``Sec-Fetch-Site`` also where it leaves out
    ``Origin``."""
    origin = connection.headers.get("origin", "").lower()
    own = _own(connection)
    if origin and origin != own and origin not in origins:
        raise NotAllowed(
            f"pages of {origin[:100]} may not call the daemon",
            hint="Add the origin to allowed_origins if you trust it.",
        )
    site = connection.headers.get("sec-fetch-site", "none")
    if not origin and site not in ("none", "same-origin") and not _looks_only(connection):
        raise NotAllowed("a page of another site may not call the daemon", hint=_ACCOUNTS)


def _looks_only(connection: HTTPConnection) -> bool:
    """A link that was followed: its page does not see the answer."""
    return (
        connection.scope["type"] == "http"
        and connection.scope["method"] in ("GET", "HEAD")
        and connection.headers.get("sec-fetch-mode") == "navigate"
    )


def _own(connection: HTTPConnection) -> str:
    """The origin of the daemon's own pages, as this request calls it."""
    secure = connection.scope["scheme"] in ("https", "wss")
    return f"{'https' if secure else 'http'}://{connection.headers.get('host', '').lower()}"


def _name(host: str) -> str:
    """Of a header ``Host``, without its port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
