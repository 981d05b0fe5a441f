"""What answers each route, by the route's name, joined from the segments of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypersdk.api.routes import (
    accounts,
    events,
    hypervisors,
    instances,
    jobs,
    known_jobs,
    known_libvirt,
    known_more,
    known_vms,
    known_vsphere,
    repositories,
    schedules,
    system,
    webhooks,
)

Handler = Callable[..., Any]


def _joined(*segments: Mapping[str, Any]) -> dict[str, Handler]:
    """Raises ValueError for a name that two segments have."""
    found: dict[str, Handler] = {}
    for segment in segments:
        if twice := found.keys() & segment.keys():
            raise ValueError(f"two handlers of one name: {sorted(twice)}")
        found |= segment
    return found


#: Name of a route → its function.
HANDLERS = _joined(
    system.HANDLERS,
    jobs.HANDLERS,
    schedules.HANDLERS,
    hypervisors.HANDLERS,
    instances.HANDLERS,
    repositories.HANDLERS,
    webhooks.HANDLERS,
    events.HANDLERS,
    accounts.HANDLERS,
    known_jobs.HANDLERS,
    known_vms.HANDLERS,
    known_libvirt.HANDLERS,
    known_vsphere.HANDLERS,
    known_more.HANDLERS,
)
