"""What holds for every driver, whatever its parts."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.requirements import REQUIREMENTS
from hypersdk.drivers.ports import PARTS, Hypervisor, capabilities
from hypersdk.model.capabilities import Grade


@case("core")
def has_the_parts_that_others_build_on(lab: Lab) -> None:
    """A driver has an inventory."""
    expect.true(lab.hypervisor.inventory is not None, "there is no inventory part")


@case("core")
def parts_are_whole(lab: Lab) -> None:
    """Each part has all methods of its port, and whoever lacks one has no such part."""
    for part in PARTS:
        found = getattr(lab.hypervisor, part)
        if found is None:
            continue
        for method in _methods(part):
            there = callable(getattr(found, method, None))
            expect.true(there, f"the {part} part has no method '{method}'")


@case("core")
def limits_are_known(lab: Lab) -> None:
    """Each limit names an aspect of its own part that the kit knows, and says why."""
    for capability in capabilities(lab.hypervisor):
        for limit in capability.limits:
            expect.contains(REQUIREMENTS, limit.aspect, f"a limit of {capability.part}")
            part, _, aspect = limit.aspect.partition(".")
            expect.true(
                part == capability.part and bool(aspect),
                f"'{limit.aspect}' is no aspect of {capability.part}",
            )
            expect.true(bool(limit.note.strip()), f"the limit {limit.aspect} does not say why")


@case("core")
def capabilities_agree_between_connections(lab: Lab) -> None:
    """Two connections to one hypervisor have the same parts and limits."""
    expect.equal(
        capabilities(lab.connect().hypervisor), capabilities(lab.hypervisor), "capabilities"
    )
    present = [kept for kept in capabilities(lab.hypervisor) if kept.grade is not Grade.NONE]
    expect.true(bool(present), "the driver has no parts at all")


@case("core")
def url_names_it_without_secrets(lab: Lab) -> None:
    """The driver says by which URL it was named, without a password."""
    parts = urlsplit(lab.hypervisor.url)
    expect.true(bool(parts.scheme), f"'{lab.hypervisor.url}' has no scheme")
    expect.equal(parts.password, None, "the password in its URL")


@case("core")
def closing_twice_is_fine(lab: Lab) -> None:
    """A connection may be closed twice; others stay open."""
    other = lab.target.connect()
    other.close()
    other.close()
    tuple(lab.inventory.instances())


@case("core", needs=("observer",))
def looking_changes_nothing(lab: Lab) -> None:
    """Connecting, listing and closing leave nothing in the backend."""
    with lab.nothing_left():
        other = lab.target.connect()
        tuple(lab.inventory.instances())
        other.close()


def _methods(part: str) -> list[str]:
    hints: dict[str, Any] = get_type_hints(getattr(Hypervisor, part).fget)
    port = next(kind for kind in get_args(hints["return"]) if kind is not type(None))
    return [name for name in vars(port) if not name.startswith("_") and callable(vars(port)[name])]
