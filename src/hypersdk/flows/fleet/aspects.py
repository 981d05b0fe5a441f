"""The aspects of parts that a caller can ask for: the names that a driver's limits use.

The conformance kit has a sentence for each; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from hypersdk.drivers.ports import PARTS
from hypersdk.model.errors import InvalidInput

#: Part → what a driver that has the part may lack.
ASPECTS: Mapping[str, tuple[str, ...]] = {
    "archives": ("content",),
    "clones": ("linked",),
    "console": (
        "display",
        "keys",
        "screenshot",
        "serial",
    ),
    "disks": (
        "changed_blocks",
        "random_access",
        "rewrite",
        "running",
    ),
    "events": ("state",),
    "execution": ("timeout",),
    "guest_agent": ("freeze",),
    "hotplug": (
        "disk",
        "media",
        "memory",
        "nic",
        "vcpus",
    ),
    "images": ("load",),
    "lifecycle": (
        "cloud_init",
        "cpu_limit",
        "cpu_weight",
        "disks",
        "env",
        "graceful_stop",
        "memory_limit",
        "mounts",
        "nics",
        "pause",
        "pids_limit",
        "ports",
        "reset",
        "start_paused",
        "tags",
    ),
    "logs": ("follow",),
    "metrics": (
        "cpu",
        "disk",
        "memory",
        "nic",
    ),
    "networks": ("stop",),
    "snapshots": (
        "memory",
        "quiesce",
        "revert",
        "running",
        "tree",
    ),
}


def check_aspect(name: str) -> None:
    """Raises InvalidInput, with the nearest name, for what is neither a part (``snapshots``) nor an
    aspect of one (``snapshots.memory``)."""
    known = [*PARTS, *(f"{part}.{aspect}" for part, found in ASPECTS.items() for aspect in found)]
    if name in known:
        return
    near = get_close_matches(name, known, n=1)
    part = name.partition(".")[0]
    there = [f"{part}.{aspect}" for aspect in ASPECTS.get(part, ())] or PARTS
    meant = f"Did you mean {near[0]}? " if near else ""
    raise InvalidInput(
        f"'{name}' is no part or aspect of a hypervisor",
        hint=f"{meant}There are {', '.join(there)}.",
    )
