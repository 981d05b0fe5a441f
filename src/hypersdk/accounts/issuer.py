"""What an OpenID provider publishes: its configuration and the keys that sign its tokens.

Fetched over HTTPS (plain HTTP only from this machine), without following redirects, and kept. A key
that is not known yet makes us look again, but not more than once a minute: tokens are made up by
whoever sends them.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from hypersdk.model.errors import InvalidInput, NotAuthenticated

_log = logging.getLogger(__name__)

Key = RSAKey | ECKey | OKPKey
Fetch = Callable[[str], Mapping[str, Any]]

#: Seconds for one answer of the provider.
FETCH_SECONDS = 10.0
#: Bytes of one answer.
FETCH_MOST = 1 << 20
#: Seconds after which keys are fetched again.
FRESH_SECONDS = 3600.0
#: Seconds between two looks for a key that is not known, or after one that failed.
AGAIN_SECONDS = 60.0
#: Seconds for which keys are used while the provider does not answer.
STALE_SECONDS = 24 * 3600.0
#: Bits of an RSA key at least (RFC 7518, 3.3).
_RSA_BITS_LEAST = 2048
_KINDS: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {
    "RSA": RSAKey,
    "EC": ECKey,
    "OKP": OKPKey,
}


class IssuerKeys:
    """Safe in threads."""

    def __init__(
        self,
        issuer: str,
        *,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises InvalidInput for an issuer without HTTPS."""
        check_url(issuer)
        self._issuer = issuer
        self._fetch = fetch or fetch_json
        self._clock = clock
        self._one = threading.Lock()
        self._keys: tuple[tuple[str, Key], ...] = ()
        self._read = self._tried = float("-inf")

    def candidates(self, id: str | None) -> tuple[Key, ...]:
        """Keys that may have signed a token that names the key ``id``; without a name, all.

        Raises NotAuthenticated while the provider cannot be asked and nothing is known.
        """
        with self._one:
            now = self._clock()
            found = self._named(id)
            old = now - self._read > FRESH_SECONDS
            if (old or not found) and now - self._tried > AGAIN_SECONDS:
                self._tried = now
                self._look(now)
                found = self._named(id)
            if now - self._read > STALE_SECONDS:
                raise NotAuthenticated(
                    f"the keys of {self._issuer} are not known",
                    hint="It did not answer; the daemon's log says why. Local accounts still work.",
                )
            return found

    def _named(self, id: str | None) -> tuple[Key, ...]:
        return tuple(key for name, key in self._keys if id is None or name == id)

    def _look(self, now: float) -> None:
        place = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            self._keys = _read_keys(self._fetch(self._place_of_keys(self._fetch(place))))
        except (OSError, ValueError, InvalidInput) as error:
            _log.warning("the keys of %s could not be read: %s", self._issuer, error)
            return
        self._read = now

    def _place_of_keys(self, described: Mapping[str, Any]) -> str:
        if described.get("issuer") != self._issuer:
            raise InvalidInput("its configuration is that of another issuer")
        place = str(described.get("jwks_uri", ""))
        check_url(place)
        return place


def check_url(url: str) -> None:
    """Raise InvalidInput unless it is HTTPS, or HTTP to this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" and host:
        return
    if parts.scheme == "http" and (host == "localhost" or _loopback(host)):
        return
    raise InvalidInput(
        f"{url[:200]!r} is no HTTPS URL", hint="An OpenID provider is asked over HTTPS only."
    )


def fetch_json(url: str) -> Mapping[str, Any]:
    """Raises OSError, or ValueError for what is no JSON object."""
    check_url(url)
    opener = urllib.request.build_opener(_NoRedirects)
    asked = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked
    with opener.open(asked, timeout=FETCH_SECONDS) as response:
        content = response.read(FETCH_MOST + 1)
    if len(content) > FETCH_MOST:
        raise ValueError(f"{url} is longer than {FETCH_MOST} bytes")
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError(f"{url} is no JSON object")  # noqa: TRY004 - of what was received
    return found


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Another place is another issuer's, perhaps one inside our network."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _read_keys(document: Mapping[str, Any]) -> tuple[tuple[str, Key], ...]:
    found: list[tuple[str, Key]] = []
    for each in document.get("keys") or ():
        kind = _KINDS.get(each.get("kty", "")) if isinstance(each, dict) else None
        if kind is None or each.get("use", "sig") != "sig":
            continue  # for encryption, or of a kind from the future
        if kind is RSAKey and _bits(each.get("n")) < _RSA_BITS_LEAST:
            _log.warning("an RSA key of fewer than %d bits is not used", _RSA_BITS_LEAST)
            continue
        try:
            key = kind.import_key(each)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            _log.warning("a published key was not understood: %s", error)
            continue
        found.append((str(each.get("kid", "")), key))
    return tuple(found)


def _bits(modulus: object) -> int:
    """Of a number in base64url; looked at before the library warns of it."""
    try:
        number = base64.urlsafe_b64decode(str(modulus) + "==")
    except ValueError:
        return 0
    return int.from_bytes(number, "big").bit_length()


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
