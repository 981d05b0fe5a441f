"""Where webhooks may go. A name is looked up once, and what was looked at is connected to: one
that leads elsewhere a moment later (DNS rebinding) gains nothing."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from hypersdk.model.errors import InvalidInput

_HINT = "Write it like https://example.org/hooks/hypersdk."
#: Addresses of IPv4 written as IPv6 (RFC 6052): the last four bytes.
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


class TargetRefused(InvalidInput):
    """The webhook leads into a network that it must not reach."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was looked at."""

    parts: SplitResult
    host: str
    port: int

    @property
    def path(self) -> str:
        """With its query."""
        return (self.parts.path or "/") + (f"?{self.parts.query}" if self.parts.query else "")


def parse(url: str, *, allow_private: bool) -> Target:
    """Raises InvalidInput for what is no http(s) URL, and TargetRefused for a private address that
    stands in it as such."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInput("the webhook's URL is none", hint=_HINT) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable():
        raise InvalidInput("the webhook's URL is not http:// or https://", hint=_HINT)
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "the webhook's URL holds a user or password",
            hint="Have the receiver check signatures, or set a header by a reference.",
        )
    default = 443 if parts.scheme == "https" else 80
    target = Target(parts, parts.hostname, port or default)
    try:
        address = ipaddress.ip_address(target.host.partition("%")[0])
    except ValueError:
        local = target.host.rstrip(".").lower() == "localhost" or target.host.endswith(".localhost")
        if local and not allow_private:
            raise _refused(target.host, "loopback") from None
        return target
    if not allow_private:
        _allow(target.host, address)
    return target


def addresses(target: Target, *, allow_private: bool) -> tuple[str, ...]:
    """What its name stands for now. Raises TargetRefused when any of it is private, and OSError
    when the name is not known."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))
    if not allow_private:
        for each in addresses:
            _allow(target.host, ipaddress.ip_address(each.partition("%")[0]))
    return addresses


def _allow(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    inner = _inner(address)
    for each in (address, inner):
        if each is not None and (not each.is_global or each.is_multicast):
            raise _refused(host, _kind(each))


def _inner(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def _kind(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    for word in ("loopback", "link_local", "multicast", "unspecified"):
        if getattr(address, f"is_{word}"):
            return word.replace("_", "-")
    return "private"


def _refused(host: str, kind: str) -> TargetRefused:
    return TargetRefused(
        f"the webhook leads to a {kind} address: {host}",
        hint="Set webhooks_allow_private: true in the daemon's settings if that is intended.",
    )
