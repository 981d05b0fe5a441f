"""Find what the kit needs to test the driver behind a URL.

Targets announce themselves as entry points of the group ``hypersdk.conformance``: the name is the
URL scheme of the driver, the object a function ``target(url, site) -> Target``. Ours and a
stranger's are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from hypersdk.conformance.target import Site, Target
from hypersdk.drivers.registry import refuse_secrets
from hypersdk.model.errors import InvalidInput, MissingRequirement

GROUP = "hypersdk.conformance"


def schemes() -> tuple[str, ...]:
    """URL schemes that can be tested, in order."""
    return tuple(sorted({each.name for each in entry_points(group=GROUP)}))


def scheme(url: str) -> str:
    """The driver in a URL: ``libvirt`` of ``libvirt+qemu:///system``. Raises InvalidInput."""
    found, colon, _ = url.partition("://")
    if not found or not colon:
        raise InvalidInput(
            f"'{url}' is not a hypervisor URL",
            hint=f"Write SCHEME://…. The kit can test {', '.join(schemes())}.",
        )
    return found.partition("+")[0]


def check_url(url: str) -> None:
    """Raise InvalidInput when nothing is known about how to test ``url``, or it has a secret."""
    _entry(url)


def load_target(url: str, site: Site) -> Target:
    """What to test behind ``url``. Raises InvalidInput, MissingRequirement, HypervisorError."""
    entry = _entry(url)
    try:
        make = cast("Callable[[str, Site], Target]", entry.load())
    except ImportError as error:
        owner = entry.dist.name if entry.dist is not None else "hypersdk"
        raise MissingRequirement(
            f"the tests of {entry.name} cannot be loaded: {error}",
            hint=f"Install its extra: pip install '{owner}[{entry.name}]'",
        ) from error
    return make(url, site)


def _entry(url: str) -> EntryPoint:
    name = scheme(url)
    refuse_secrets(url)
    for entry in entry_points(group=GROUP, name=name):
        return entry
    near = get_close_matches(name, schemes(), n=1)
    question = f"Did you mean {near[0]}? " if near else ""
    raise InvalidInput(
        f"the kit has no target for the scheme '{name}'",
        hint=f"{question}It can test {', '.join(schemes())}; "
        f"others announce themselves as entry points of the group {GROUP}.",
    )
