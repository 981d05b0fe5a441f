"""Which hypervisor takes an instance: the one that can do what it needs and has room.

Nothing is reserved: two placements at the same moment may choose the same room. The hypervisor
itself refuses then, and creating falls back to another one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.ports import Hypervisor, capabilities
from hypersdk.drivers.specs import checked
from hypersdk.flows.fleet.aspects import check_aspect
from hypersdk.flows.fleet.inventory import ASKED_AT_ONCE
from hypersdk.flows.fleet.members import Fleet, failure
from hypersdk.flows.fleet.parallel import run_each
from hypersdk.model.capabilities import Capability, Grade
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorError,
    HypervisorUnreachable,
    Interrupted,
    LimitExceeded,
    NotSupported,
)
from hypersdk.model.hosts import HostInfo
from hypersdk.model.specs import InstanceSpec
from hypersdk.model.units import format_size


class PlacementPolicy(Enum):
    """Which one of those that can take it."""

    #: The one with the most memory left, then with the most room for disks.
    MOST_ROOM = "most-room"
    #: The one with the fewest instances.
    FEWEST = "fewest"
    #: The first one in the order of the members.
    ORDERED = "ordered"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRules:
    """What else counts."""

    policy: PlacementPolicy = PlacementPolicy.MOST_ROOM
    #: Parts and aspects that the hypervisor must have besides what the spec asks for:
    #: ``snapshots``, ``snapshots.memory``.
    requires: Collection[str] = ()
    #: Names of members; empty: all.
    hypervisors: Collection[str] = ()
    #: Disks take room as they fill, so their whole size need not be there.
    thin: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """What speaks for and against one hypervisor."""

    #: Name of the member.
    hypervisor: str
    #: Why it cannot take the instance; empty: it can.
    reasons: tuple[str, ...] = ()
    #: As observed; None where it does not say, or could not be asked.
    host: HostInfo | None = None
    #: How many it has, stopped ones included.
    instances: int = 0
    #: True when it could take the instance if it had room.
    full: bool = False
    #: Why it could not be asked.
    error: HyperSDKError | None = None

    @property
    def accepted(self) -> bool:
        return not self.reasons


@dataclass(frozen=True, slots=True)
class PlacementDecision:
    """Those that can take it, the best one first, then the others."""

    name: str
    candidates: tuple[Candidate, ...]
    #: What the hypervisor must have.
    needs: tuple[str, ...] = ()

    @property
    def accepted(self) -> tuple[Candidate, ...]:
        """The best one first."""
        return tuple(each for each in self.candidates if each.accepted)

    def require(self) -> Candidate:
        """The best one. Raises LimitExceeded when those that could have no room, NotSupported
        when none could, HypervisorUnreachable when none could be asked."""
        if self.accepted:
            return self.accepted[0]
        kind: type[HypervisorError] = HypervisorUnreachable
        asked = [each for each in self.candidates if each.error is None]
        if asked:
            kind = LimitExceeded if any(each.full for each in asked) else NotSupported
        raise kind(
            f"no hypervisor can take '{self.name}'",
            hint="; ".join(
                f"{each.hypervisor}: {', '.join(each.reasons)}" for each in self.candidates
            ),
        )


#: Fields of a spec → the aspect that a hypervisor must have when the field is not as by default.
_NEEDS = {
    "disks": "lifecycle.disks",
    "nics": "lifecycle.nics",
    "cloud_init": "lifecycle.cloud_init",
    "tags": "lifecycle.tags",
    "cpu_weight": "lifecycle.cpu_weight",
    "cpu_limit": "lifecycle.cpu_limit",
    "image": "images",
    "env": "lifecycle.env",
    "mounts": "lifecycle.mounts",
    "ports": "lifecycle.ports",
    "pids_limit": "lifecycle.pids_limit",
    # Only what has disks, a machine, boots from one of these.
    "cdrom": "lifecycle.disks",
    "kernel": "lifecycle.disks",
}


def needs(spec: InstanceSpec, requires: Collection[str] = ()) -> tuple[str, ...]:
    """Parts and aspects that an instance of this spec needs. Raises InvalidInput for one in
    ``requires`` that there is not."""
    for aspect in requires:
        check_aspect(aspect)
    asked = [aspect for field_, aspect in _NEEDS.items() if getattr(spec, field_)]
    if spec.firmware != "bios":
        asked.append("lifecycle.disks")
    return tuple(dict.fromkeys(["lifecycle", *asked, *requires]))


def place_instance(
    fleet: Fleet,
    spec: InstanceSpec,
    rules: PlacementRules | None = None,
    *,
    cancel: CancelToken | None = None,
) -> PlacementDecision:
    """Ask all members, and decide. Raises InvalidInput, Interrupted."""
    rules = rules or PlacementRules()
    token = cancel or CancelToken()
    checked(spec)
    wanted = needs(spec, rules.requires)
    for name in set(rules.hypervisors) - set(fleet.names):
        fleet.hypervisor(name)  # raises, with the nearest name
    names = [name for name in fleet.names if not rules.hypervisors or name in rules.hypervisors]

    def look(name: str) -> Candidate:
        try:
            return _judged(name, fleet.hypervisor(name), spec, wanted, rules)
        except Exception as error:  # noqa: BLE001 - the others may do
            return _unasked(name, failure(error))

    found = run_each(
        names,
        look,
        skip=lambda name: _unasked(name, Interrupted("cancelled")),
        key=lambda name: name,
        workers=ASKED_AT_ONCE,
        per_key=1,
        cancel=token,
    )
    token.check()
    accepted = [each for each in found if each.accepted]
    rank = _RANKS.get(rules.policy)
    if rank is not None:
        accepted.sort(key=rank)  # stable: equal ones stay in the order of the members
    rejected = [each for each in found if not each.accepted]
    return PlacementDecision(spec.name, (*accepted, *rejected), wanted)


def _most_room(candidate: Candidate) -> tuple[float, float]:
    """One that does not say comes last."""
    host = candidate.host
    if host is None:
        return 1, 0
    return -host.memory_available, -(host.storage_available or 0)


def _fewest(candidate: Candidate) -> int:
    return candidate.instances


_RANKS: dict[PlacementPolicy, Callable[[Candidate], tuple[float, float] | int]] = {
    PlacementPolicy.MOST_ROOM: _most_room,
    PlacementPolicy.FEWEST: _fewest,
}


def _unasked(name: str, error: HyperSDKError) -> Candidate:
    return Candidate(name, (error.message,), error=error)


def _judged(
    name: str,
    hypervisor: Hypervisor,
    spec: InstanceSpec,
    wanted: Collection[str],
    rules: PlacementRules,
) -> Candidate:
    reasons = _lacks(capabilities(hypervisor), wanted)
    host = hypervisor.host.info() if hypervisor.host is not None else None
    there = list(hypervisor.inventory.instances()) if hypervisor.inventory is not None else []
    if any(instance.name == spec.name for instance in there):
        reasons.append(f"has an instance '{spec.name}' already")
    room = _no_room(host, len(there), spec, rules) if host is not None else []
    return Candidate(name, (*reasons, *room), host, len(there), full=bool(room) and not reasons)


def _lacks(found: Collection[Capability], wanted: Collection[str]) -> list[str]:
    parts = {capability.part: capability for capability in found}
    reasons = []
    for aspect in wanted:
        part = parts[aspect.partition(".")[0]]
        notes = [limit.note for limit in part.limits if limit.aspect == aspect]
        if part.grade is Grade.NONE:
            reasons.append(f"has no {part.part}")
        elif notes:
            reasons.append(f"no {aspect}: {notes[0]}")
    return list(dict.fromkeys(reasons))


def _no_room(host: HostInfo, there: int, spec: InstanceSpec, rules: PlacementRules) -> list[str]:
    disks = 0 if rules.thin else sum(disk.size for disk in spec.disks)
    memory = max(spec.memory, spec.memory_maximum)
    found = []
    if host.maximum_instances is not None and there >= host.maximum_instances:
        found.append(f"has {there} of at most {host.maximum_instances} instances")
    if host.maximum_vcpus is not None and max(spec.vcpus, spec.vcpus_maximum) > host.maximum_vcpus:
        found.append(f"gives an instance at most {host.maximum_vcpus} vCPUs")
    if host.maximum_memory is not None and memory > host.maximum_memory:
        found.append(f"gives an instance at most {format_size(host.maximum_memory)} of memory")
    if spec.memory > host.memory_available:
        found.append(f"has {format_size(host.memory_available)} of memory left")
    if host.storage_available is not None and disks > host.storage_available:
        found.append(f"has {format_size(host.storage_available)} left for disks")
    if spec.acceleration and host.acceleration != spec.acceleration:
        found.append(f"runs with {host.acceleration}, not {spec.acceleration}")
    return found
