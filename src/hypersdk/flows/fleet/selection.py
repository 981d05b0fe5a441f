"""From what a person writes to the instances that are meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from hypersdk.flows.fleet.inventory import FleetInstance, FleetInventory, is_pattern
from hypersdk.model.errors import Conflict, InstanceNotFound


def select_instances(
    inventory: FleetInventory, names: Iterable[str], *, everywhere: bool = False
) -> tuple[FleetInstance, ...]:
    """The instances of these names, each once, in the order of the names.

    A name is that of an instance (``web``), its id, one on one hypervisor (``lab/web``), or a
    pattern (``web-*``, ``lab/*``), which may stand for many. A plain name that several hypervisors
    have is refused unless ``everywhere``. Raises InstanceNotFound, Conflict.
    """
    chosen: dict[tuple[str, str], FleetInstance] = {}
    for name in names:
        found = _named(inventory.instances, name)
        if not found:
            raise _missing(inventory, name)
        if len(found) > 1 and not everywhere and not is_pattern(name):
            raise Conflict(
                f"'{name}' is the name of several instances: "
                f"{', '.join(_address(each, found) for each in found)}",
                hint="Write one of these instead, or say that all are meant (--everywhere).",
            )
        chosen.update({(each.hypervisor, each.instance.id): each for each in found})
    return tuple(chosen.values())


def members_named(members: Iterable[str], names: Sequence[str]) -> tuple[str, ...]:
    """The members that need to be asked for these names: those that all names begin with
    (``lab/web``, ``lab/*``). Empty: all."""
    known = tuple(members)
    found = [[member for member in known if name.startswith(f"{member}/")] for name in names]
    return tuple(dict.fromkeys(each for one in found for each in one)) if all(found) else ()


def _named(instances: Sequence[FleetInstance], name: str) -> list[FleetInstance]:
    def fits(text: str) -> bool:
        return text == name or (is_pattern(name) and fnmatchcase(text, name))

    by_name = [each for each in instances if fits(each.instance.name) or fits(each.label)]
    if by_name:
        return by_name
    return [
        each
        for each in instances
        if name in (each.instance.id, f"{each.hypervisor}/{each.instance.id}")
    ]


def _address(one: FleetInstance, among: Sequence[FleetInstance]) -> str:
    """Its label, or its id where the hypervisor has several of one name."""
    alone = sum(each.label == one.label for each in among) == 1
    return one.label if alone else f"{one.hypervisor}/{one.instance.id}"


def _missing(inventory: FleetInventory, name: str) -> InstanceNotFound:
    known = [each.instance.name for each in inventory.instances]
    known += [each.label for each in inventory.instances]
    near = get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    if inventory.failures:
        hint += f"Not asked, because they failed: {', '.join(inventory.failures)}."
    what = f"no instance matches '{name}'" if is_pattern(name) else f"no instance '{name}'"
    return InstanceNotFound(what, hint=hint.strip())
