"""Find the driver for a hypervisor's URL.

Drivers announce themselves as entry points of the group ``hypersdk.drivers``: the name is the URL
scheme, the object a function ``connect(url) -> Hypervisor``. Ours and a stranger's are the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import cast
from urllib.parse import SplitResult, parse_qsl, urlsplit

from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.errors import InvalidInput, MissingRequirement

GROUP = "hypersdk.drivers"

#: Query fields that would carry a secret; URLs end up in logs, process lists and restore points.
SECRET_FIELDS = frozenset({"password", "passwd", "secret", "token", "apikey", "api_key"})


def schemes() -> tuple[str, ...]:
    """URL schemes of the drivers that are installed, in order."""
    return tuple(sorted({driver.name for driver in entry_points(group=GROUP)}))


def connect(url: str) -> Hypervisor:
    """The hypervisor behind ``url``: ``mock:///srv/lab``, ``libvirt+qemu:///system``.

    The part of the scheme before ``+`` chooses the driver; the driver reads the rest. Raises
    InvalidInput for a malformed URL, an unknown scheme or a secret in the URL, and
    MissingRequirement when the driver's own library is not installed.
    """
    parts = _split(url)
    _refuse_secrets(parts)
    driver = _driver(parts.scheme)
    try:
        opener = cast("Callable[[str], Hypervisor]", driver.load())
    except ImportError as error:
        raise _missing(driver, error) from error
    return opener(url)


def refuse_secrets(url: str) -> None:
    """Raise InvalidInput for a URL that contains a password or token, or that is none."""
    _refuse_secrets(_split(url))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidInput(f"this is not a hypervisor URL: {error}", hint=_example()) from error
    if not parts.scheme or not url[len(parts.scheme) :].startswith("://"):
        raise InvalidInput(f"'{url}' is not a hypervisor URL", hint=_example())
    return parts


def _example() -> str:
    return f"Write SCHEME://…, for example mock:///srv/lab. Known schemes: {', '.join(schemes())}."


def _refuse_secrets(parts: SplitResult) -> None:
    """The message repeats nothing of the URL but its scheme: it would repeat the secret."""
    fields = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if parts.password is None and not fields & SECRET_FIELDS:
        return
    raise InvalidInput(
        f"the {parts.scheme} URL contains a password or token",
        hint=f"Leave it out, as in {parts.scheme}://USER@HOST/…: "
        "URLs are seen in process lists, shell history and logs.",
    )


def _driver(scheme: str) -> EntryPoint:
    for name in (scheme, scheme.partition("+")[0]):
        for driver in entry_points(group=GROUP, name=name):
            return driver
    known = schemes()
    near = difflib.get_close_matches(scheme, known, n=1)
    question = f"Did you mean {near[0]}? " if near else ""
    raise InvalidInput(
        f"no driver knows the scheme '{scheme}'",
        hint=f"{question}Known schemes: {', '.join(known)}.",
    )


def _missing(driver: EntryPoint, error: ImportError) -> MissingRequirement:
    """By convention a driver's extra is called like its scheme."""
    distribution = driver.dist.name if driver.dist is not None else "hypersdk"
    return MissingRequirement(
        f"the {driver.name} driver cannot be loaded: {error}",
        hint=f"Install its extra: pip install '{distribution}[{driver.name}]'",
    )
