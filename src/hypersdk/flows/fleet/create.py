"""Make an instance where it fits best; somewhere else when that fails."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.ports import Inventory, Lifecycle
from hypersdk.flows.fleet.inventory import FleetInstance
from hypersdk.flows.fleet.members import Fleet
from hypersdk.flows.fleet.placement import (
    PlacementDecision,
    PlacementRules,
    place_instance,
)
from hypersdk.model.errors import (
    CircuitOpen,
    HyperSDKError,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    Interrupted,
    MissingRequirement,
    NotSupported,
    OperationTimeout,
)
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.specs import InstanceSpec

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FailedPlacement:
    """A hypervisor that was chosen and failed."""

    #: Name of the member.
    hypervisor: str
    error: HyperSDKError
    #: What may still be there, and why; empty: nothing is.
    left: str = ""


@dataclass(frozen=True, slots=True)
class PlacedInstance:
    """An instance that was made in a fleet."""

    placed: FleetInstance
    decision: PlacementDecision
    #: Those that were tried before, in that order.
    failed: tuple[FailedPlacement, ...] = ()


def create_instance(
    fleet: Fleet,
    spec: InstanceSpec,
    rules: PlacementRules | None = None,
    *,
    start: bool = False,
    fallback: bool = True,
    cancel: CancelToken | None = None,
) -> PlacedInstance:
    """Make it on the best hypervisor, and ``start`` it there.

    An error that speaks about the hypervisor (it does not answer, is busy, has no room after all)
    leads to the next best one, unless ``fallback`` is off; an error that speaks about the spec
    does not. What was made is removed first. Raises what `PlacementDecision.require` does,
    otherwise the error of the last one that was tried.
    """
    token = cancel or CancelToken()
    decision = place_instance(fleet, spec, rules, cancel=token)
    decision.require()
    failed: list[FailedPlacement] = []
    for candidate in decision.accepted:
        token.check()
        attempt = _Attempt(fleet, candidate.hypervisor, spec)
        try:
            with token.scope():
                instance = attempt.make(start=start)
        except HyperSDKError as error:
            left = attempt.remove(error)
            if left:
                error.hint = f"{error.hint} On {candidate.hypervisor}, {left}.".strip()
            failed.append(FailedPlacement(candidate.hypervisor, error, left))
            if not fallback or not _speaks_of_the_hypervisor(error):
                raise
            _log.warning("%s failed to make '%s'", candidate.hypervisor, spec.name)
        else:
            placed = FleetInstance(candidate.hypervisor, instance)
            return PlacedInstance(placed, decision, tuple(failed))
    raise failed[-1].error


class _Attempt:
    """Making an instance on one hypervisor, and taking it back."""

    def __init__(self, fleet: Fleet, name: str, spec: InstanceSpec) -> None:
        self._fleet = fleet
        self._name = name
        self._spec = spec
        self._made: Instance | None = None

    def make(self, *, start: bool) -> Instance:
        inventory, lifecycle = self._parts()
        self._made = lifecycle.create(self._spec)
        if not start:
            return self._made
        lifecycle.start(self._made.name)
        return inventory.instance(self._made.id)

    def remove(self, error: HyperSDKError) -> str:
        """Remove what is there after ``error``; returns what stays, in words.

        A driver whose ``create`` raises has removed what it made, unless it could not tell us.
        """
        unknown = isinstance(error, _AMBIGUOUS) and not isinstance(error, CircuitOpen)
        if self._made is None and not unknown:
            return ""
        with CancelToken().scope():  # also when the work was cancelled
            try:
                return self._remove()
            except InstanceNotFound:
                return ""
            except HyperSDKError as problem:
                return f"'{self._spec.name}' may still be there ({problem.message})"

    def _remove(self) -> str:
        inventory, lifecycle = self._parts()
        found = inventory.instance(self._made.id if self._made else self._spec.name)
        if self._made is None and not self._looks_like_ours(found):
            return f"there is a '{found.name}' that may be of this attempt"
        if found.state is not InstanceState.STOPPED:
            lifecycle.stop(found.id, force=True)
        # A disk with a path may have been there before, with somebody's data.
        kept = [disk.path for disk in self._spec.disks if disk.path]
        lifecycle.delete(found.id, disks=not kept)
        return f"these disks are kept: {', '.join(kept)}" if kept else ""

    def _looks_like_ours(self, found: Instance) -> bool:
        """No one had the name before, but somebody else may have been quicker than we."""
        return (
            found.owned
            and found.state is InstanceState.STOPPED
            and (found.vcpus, found.memory) == (self._spec.vcpus, self._spec.memory)
        )

    def _parts(self) -> tuple[Inventory, Lifecycle]:
        hypervisor = self._fleet.hypervisor(self._name)
        if hypervisor.lifecycle is None or hypervisor.inventory is None:
            raise NotSupported(f"{self._name} makes no instances")
        return hypervisor.inventory, hypervisor.lifecycle


#: After these it is not known whether the call took effect.
_AMBIGUOUS = (HypervisorUnreachable, OperationTimeout, Interrupted)


def _speaks_of_the_hypervisor(error: HyperSDKError) -> bool:
    return isinstance(error, HypervisorError | MissingRequirement)
