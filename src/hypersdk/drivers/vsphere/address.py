"""Which vCenter or ESXi host, as whom, and how its certificate is checked; read from a URL.

::

    vsphere://USER@HOST[:PORT]/[DATACENTER]
        ?fingerprint=AB:CD:…          SHA-256 of its certificate, when no CA vouches for it
        &password-from=env:NAME       where the password is; else GOVC_PASSWORD
        &reader=auto|nfc|range|nbd    how disks are read
        &nbd-provider=FILE.toml       the program that serves them for ``nbd``
    vsphere://                        all of it from GOVC_URL, GOVC_USERNAME, GOVC_DATACENTER

What a URL leaves out comes from govc's variables, so that whoever uses govc types nothing twice.
``GOVC_INSECURE=1`` does not turn checks off: the certificate that is seen first is remembered, and
another one is refused later.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from hypersdk.config.secrets import SecretReference, resolve
from hypersdk.model.errors import InvalidInput

SCHEME = "vsphere"
PORT = 443
READERS = ("auto", "nfc", "range", "nbd")
_FIELDS = ("fingerprint", "password-from", "reader", "nbd-provider")
_HINT = "Write vsphere://USER@HOST/DATACENTER, or set GOVC_URL and GOVC_USERNAME."
#: SHA-256 in hexadecimal.
_FINGERPRINT = re.compile(r"[0-9A-F]{64}")
_YES = frozenset({"1", "true", "yes", "on", "t"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One endpoint. Safe to print: the password is not shown."""

    #: All of it but the password; the same for all ways of writing it.
    url: str
    host: str
    port: int
    user: str
    #: Name or inventory path of a datacenter; empty: all.
    datacenter: str = ""
    #: ``AB:CD:…``, SHA-256 of its certificate; empty: none was given.
    fingerprint: str = ""
    #: Reference to the password; empty: what GOVC_PASSWORD or GOVC_URL said.
    password_from: str = ""
    reader: str = "auto"
    nbd_provider: str = ""
    #: An unknown certificate is remembered instead of refused.
    first_use: bool = False
    #: From GOVC_PASSWORD or GOVC_URL; empty: neither has one.
    given: str = field(default="", repr=False)

    @property
    def endpoint(self) -> str:
        """``https://vc.example:8443``"""
        return f"https://{self.place}"

    @property
    def place(self) -> str:
        """``vc.example:8443``; the port is left out where it is the usual one."""
        return _authority(self.host, self.port)

    def with_fingerprint(self, fingerprint: str) -> str:
        """The URL that pins a certificate."""
        return _url(self, fingerprint=fingerprint)

    def password(self) -> str:
        """Raises InvalidInput when there is none, MissingRequirement for a missing keyring."""
        if self.password_from:
            return resolve(self.password_from)
        if self.given:
            return self.given
        raise InvalidInput(
            f"no password for {self.user} at {self.place}",
            hint="Set GOVC_PASSWORD, or add ?password-from=keyring:SERVICE/USER to the URL "
            "(or env:NAME, file:PATH, prompt:).",
        )


def address(url: str, environment: Mapping[str, str] | None = None) -> Address:
    """What ``url`` says, completed by govc's variables. Raises InvalidInput."""
    variables = os.environ if environment is None else environment
    parts = _split(url)
    if parts.scheme != SCHEME:
        raise InvalidInput(f"'{url}' does not name a vCenter or ESXi host", hint=_HINT)
    govc = _govc(variables.get("GOVC_URL", ""))
    chosen = parts if parts.hostname else govc
    if chosen is None or not chosen.hostname:
        raise InvalidInput("no vCenter or ESXi host is named", hint=_HINT)
    user = unquote(parts.username or "") or variables.get("GOVC_USERNAME", "")
    user = user or unquote(chosen.username or "")
    if not user:
        raise InvalidInput(f"no user for {chosen.hostname} is named", hint=_HINT)
    fields = _fields(parts)
    password = variables.get("GOVC_PASSWORD", "")
    if not password and govc is not None and govc.hostname == chosen.hostname:
        password = unquote(govc.password or "")
    datacenter = unquote(parts.path).strip("/") or variables.get("GOVC_DATACENTER", "").strip("/")
    made = Address(
        url="",
        host=chosen.hostname,
        port=_port(chosen),
        user=user,
        datacenter=datacenter,
        fingerprint=fingerprint(fields.get("fingerprint", "")),
        password_from=_reference(fields.get("password-from", "")),
        reader=_reader(fields.get("reader", "auto")),
        nbd_provider=fields.get("nbd-provider", ""),
        first_use=variables.get("GOVC_INSECURE", "").strip().lower() in _YES,
        given=password,
    )
    return _named(made)


def fingerprint(text: str) -> str:
    """SHA-256 in the form ``AB:CD:…``, however it was written. Raises InvalidInput."""
    plain = re.sub(r"^SHA-?256[:=]", "", text.strip().upper()).replace(":", "")
    if not plain:
        return ""
    if not _FINGERPRINT.fullmatch(plain):
        raise InvalidInput(
            f"'{text}' is no SHA-256 fingerprint of a certificate",
            hint="It has 32 bytes in hexadecimal: openssl s_client -connect HOST:443 </dev/null "
            "| openssl x509 -noout -fingerprint -sha256",
        )
    return ":".join(plain[at : at + 2] for at in range(0, 64, 2))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidInput(f"this is no vSphere URL: {error}", hint=_HINT) from error
    if parts.password is not None:
        raise InvalidInput("the vSphere URL contains a password", hint=_HINT)
    return parts


def _govc(value: str) -> SplitResult | None:
    """``host``, ``user:password@host`` or ``https://…/sdk``, as govc takes it."""
    if not value:
        return None
    try:
        parts = urlsplit(value if "://" in value else f"https://{value}")
        _ = parts.port
    except ValueError as error:
        raise InvalidInput("GOVC_URL is no URL", hint="GOVC_URL=https://vc.example") from error
    if parts.scheme != "https":
        raise InvalidInput(
            f"GOVC_URL begins with {parts.scheme}://", hint="Only https:// is spoken."
        )
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or PORT


def _fields(parts: SplitResult) -> dict[str, str]:
    fields = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in fields:
        if name not in _FIELDS:
            near = get_close_matches(name, _FIELDS, n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise InvalidInput(
                f"the vSphere URL has an unknown field '{name}'",
                hint=f"{meant}Known: {', '.join(_FIELDS)}.",
            )
    return fields


def _reference(text: str) -> str:
    return str(SecretReference.parse(text)) if text else ""


def _reader(text: str) -> str:
    if text in READERS:
        return text
    raise InvalidInput(f"there is no reader '{text}'", hint=f"One of {', '.join(READERS)}.")


def _named(made: Address) -> Address:
    """With the URL that names it."""
    values = {name: getattr(made, name) for name in Address.__dataclass_fields__}
    return Address(**{**values, "url": _url(made, fingerprint=made.fingerprint)})


def _url(made: Address, *, fingerprint: str) -> str:
    fields = {
        "fingerprint": fingerprint.replace(":", ""),
        "password-from": made.password_from,
        "reader": "" if made.reader == "auto" else made.reader,
        "nbd-provider": made.nbd_provider,
    }
    query = urlencode({name: value for name, value in fields.items() if value}, safe=":/")
    user = quote(made.user, safe="")
    url = f"{SCHEME}://{user}@{made.place}/{quote(made.datacenter)}"
    return f"{url}?{query}" if query else url


def _authority(host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port == PORT else f"{name}:{port}"
