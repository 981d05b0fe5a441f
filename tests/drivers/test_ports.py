"""Capabilities are what parts say, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from hypersdk.drivers.ports import PARTS, Hypervisor, capabilities, present
from hypersdk.model.capabilities import Capability, Grade, Limit

NO_MEMORY = Limit("snapshots.memory", "containers have no running state to keep")


class Whole:
    """A part that lacks nothing."""


class Lacking:
    """A part that lacks something on this hypervisor."""

    limits = (NO_MEMORY,)


class Complete:
    """A part that could lack something, and does not here."""

    limits = ()


def hypervisor(**parts: object) -> Hypervisor:
    return cast("Hypervisor", SimpleNamespace(**{name: parts.get(name) for name in PARTS}))


def test_each_part_is_graded_by_what_it_lacks() -> None:
    found = hypervisor(inventory=Whole(), lifecycle=Complete(), snapshots=Lacking())
    graded = {each.part: each for each in capabilities(found)}
    assert tuple(graded) == PARTS
    assert graded["inventory"] == Capability("inventory", Grade.FULL)
    assert graded["lifecycle"] == Capability("lifecycle", Grade.FULL)
    assert graded["snapshots"] == Capability("snapshots", Grade.PARTIAL, (NO_MEMORY,))
    assert graded["console"] == Capability("console", Grade.NONE)
    assert present(found) == ("inventory", "lifecycle", "snapshots")
