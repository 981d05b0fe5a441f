"""Which instance of which hypervisor is meant."""

from __future__ import annotations

from difflib import get_close_matches

from hypersdk.cli.hyperctl.session import Session
from hypersdk.contract.instances import InstanceRecord
from hypersdk.model.errors import Conflict, NotFound


def instance_named(session: Session, words: str, hypervisor: str = "") -> InstanceRecord:
    """By name or path (``/DC/vm/web``). Raises NotFound with near names, and Conflict listing the
    hypervisors when several have one of that name."""
    name = words.rstrip("/").rpartition("/")[2]
    found = [
        each
        for each in session.client.instances.list(hypervisor=hypervisor, name=name)
        if each.name == name and ("/" not in words or _fits(each, words))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        places = ", ".join(f"{each.hypervisor} {each.folder}".strip() for each in found)
        raise Conflict(
            f"{len(found)} instances are called '{name}': {places}",
            hint="Say which: -H HYPERVISOR, or its path.",
        )
    known = {each.name for each in session.client.instances.list(hypervisor=hypervisor)}
    near = get_close_matches(name, known, n=3)
    raise NotFound(
        f"no instance is called '{name}'",
        hint=f"Did you mean {' or '.join(near)}?" if near else "List them with: hyperctl list",
    )


def _fits(instance: InstanceRecord, path: str) -> bool:
    """Folders as far as the hypervisor tells them."""
    return not instance.folder or instance.folder.strip("/") in path
