"""What may stand in a record of a hypervisor, a repository or a webhook.

Whoever is of a tenant is not trusted with the daemon's own host: no references to its environment
and files, no sockets and folders of it. Otherwise the tenant could read what is not its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from urllib.parse import parse_qsl, urlsplit

from hypersdk.config.daemon.estate import url_without_secrets
from hypersdk.config.daemon.values import NAME
from hypersdk.config.secrets import SecretReference
from hypersdk.model.errors import InvalidInput, NotAllowed
from hypersdk.observe.redact import is_secret_name

_DRIVERS = "hypersdk.drivers"
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE_MOST = 4096
#: Made by us.
_OWN_HEADERS = frozenset(
    {
        "host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent",
        "webhook-id", "webhook-timestamp", "webhook-signature",
    }
)  # fmt: skip
#: Groups of events.
GROUPS = (
    "backup",
    "daemon",
    "hypervisor",
    "job",
    "repository",
    "schedule",
    "vm",
    "webhook",
    "worker",
)
_ASK = "Ask an administrator of the daemon to make it."


def name(value: str) -> str:
    """Raises InvalidInput unless it is safe in paths and on command lines."""
    if not NAME.fullmatch(value):
        raise InvalidInput(
            f"'{value[:140]}' is no name",
            hint="A name has letters, digits, '.', '_' and '-', 128 at most.",
        )
    return value


def hypervisor_url(url: str, *, trusted: bool = True) -> None:
    """Raises InvalidInput for what is no URL, a secret in it, or a scheme without a driver."""
    try:
        url_without_secrets(url)
    except ValueError as error:
        raise InvalidInput(
            f"the hypervisor's URL: {error}", hint="Write it like vsphere://USER@HOST/DATACENTER."
        ) from None
    parts = urlsplit(url)
    known = sorted({driver.name for driver in entry_points(group=_DRIVERS)})
    if parts.scheme not in known and parts.scheme.partition("+")[0] not in known:
        near = get_close_matches(parts.scheme, known, n=1)
        meant = f"Did you mean {near[0]}://? " if near else ""
        raise InvalidInput(
            f"there is no driver for {parts.scheme}://",
            hint=f"{meant}There are {', '.join(known)}.",
        )
    for field, value in parse_qsl(parts.query):
        if field.endswith("-from"):
            reference(value, trusted=trusted)
    if not trusted and not parts.hostname:
        raise NotAllowed("this hypervisor is the daemon's own host", hint=_ASK)


def location(value: str, *, trusted: bool = True) -> None:
    """Of a repository: a path or a URL. Raises InvalidInput, NotAllowed."""
    if not value.strip():
        raise InvalidInput(
            "the repository has no location", hint="Name a path or s3://BUCKET/PREFIX."
        )
    if "://" in value:
        try:
            url_without_secrets(value)
        except ValueError as error:
            raise InvalidInput(f"the repository's location: {error}") from None
    if not trusted and ("://" not in value or value.startswith("file:")):
        raise NotAllowed("this repository is a folder of the daemon's own host", hint=_ASK)


def keys(key: str, key_file: str, identity: str, *, trusted: bool = True) -> None:
    """At most one of them."""
    if sum(map(bool, (key, key_file, identity))) > 1:
        raise InvalidInput(
            "a repository is opened by one key", hint="Give one of key, key_file and identity."
        )
    if key:
        reference(key, trusted=trusted)
    if (key_file or identity) and not trusted:
        raise NotAllowed("key_file and identity are files of the daemon's own host", hint=_ASK)


def reference(text: str, *, trusted: bool = True) -> None:
    """Raises InvalidInput for a plain secret, and for one that somebody would have to type."""
    if SecretReference.parse(text).kind == "prompt":
        raise InvalidInput(
            "nobody is there to be asked", hint="Use env:NAME, file:PATH or keyring:SERVICE/USER."
        )
    if not trusted:
        raise NotAllowed("a reference leads to the daemon's own host", hint=_ASK)


def events(patterns: Iterable[str]) -> None:
    """``*``, ``job.*`` or ``job.completed``. Raises InvalidInput with the nearest group."""
    for each in patterns:
        group, _, rest = each.partition(".")
        if each == "*" or (group in GROUPS and re.fullmatch(r"\*|[a-z_]{1,64}", rest)):
            continue
        near = get_close_matches(group, GROUPS, n=1)
        meant = f"Did you mean {near[0]}.*? " if near else ""
        raise InvalidInput(
            f"'{each[:80]}' names no events",
            hint=f"{meant}Write GROUP.* or GROUP.NAME; groups are {', '.join(GROUPS)}.",
        )


def headers(given: Mapping[str, str], *, trusted: bool = True) -> None:
    """Of a webhook. Raises InvalidInput for one that is ours, malformed, or a plain secret."""
    for header, value in given.items():
        if not _HEADER.fullmatch(header) or header.lower() in _OWN_HEADERS:
            raise InvalidInput(f"the header '{header[:80]}' cannot be set", hint="Leave it out.")
        if not value.isprintable() or not value.isascii() or len(value) > _HEADER_VALUE_MOST:
            raise InvalidInput(f"the value of the header {header} cannot be sent")
        if is_reference(value):
            reference(value, trusted=trusted)
        elif is_secret_name(header):
            raise InvalidInput(
                f"the header {header} would hold a secret",
                hint="Write a reference instead: env:NAME or file:PATH.",
            )


def is_reference(text: str) -> bool:
    try:
        SecretReference.parse(text)
    except InvalidInput:
        return False
    return True
