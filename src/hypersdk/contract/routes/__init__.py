"""Every route of the daemon, joined from its segments.

``ROUTES`` are all of them, ``BY_NAME`` the same by their names. A client, which calls a few, asks
for them with `route_named`: the records of all routes take a fifth of a second to load.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hypersdk.contract.routing import Route

if TYPE_CHECKING:
    ROUTES: tuple[Route, ...]
    BY_NAME: dict[str, Route]

#: In the order in which they are looked at: of two paths that fit, the first is taken.
SEGMENTS = (
    "system",
    "jobs",
    "schedules",
    "hypervisors",
    "instances",
    "repositories",
    "webhooks",
    "events",
    "accounts",
    "known_jobs",
    "known_vms",
    "known_libvirt",
    "known_vsphere",
    "known_more",
)


@cache
def route_named(name: str) -> Route:
    """One route. Loads segments until it is found. Raises KeyError."""
    known = name.startswith("known_")
    for segment in sorted(SEGMENTS, key=lambda each: each.startswith("known_") != known):
        for route in _segment(segment):
            if route.name == name:
                return route
    raise KeyError(name)


def _segment(name: str) -> tuple[Route, ...]:
    found: tuple[Route, ...] = import_module(f"{__name__}.{name}").ROUTES
    return found


def _all() -> tuple[Route, ...]:
    found = tuple(route for segment in SEGMENTS for route in _segment(segment))
    names = [route.name for route in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two routes have one name: {twice}")
    return found


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in ("ROUTES", "BY_NAME"):
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        routes = _all()
        globals()["ROUTES"] = routes
        globals()["BY_NAME"] = {route.name: route for route in routes}
        return globals()[name]
