"""The hypervisor in a run of chaos: calls that may fail, and looking at what came of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from hypersdk.conformance.chaos.model import Outcome
from hypersdk.conformance.target import Target
from hypersdk.drivers.ports import Hypervisor, Inventory, Lifecycle, Snapshots
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorError,
    InstanceNotFound,
    InvalidInput,
    NotSupported,
)
from hypersdk.model.instances import Instance

T = TypeVar("T")

#: Calls after a lost connection that may still say so.
AFTERMATH = 2
#: How often a question is asked anew while faults are injected.
PATIENCE = 40


class Broken(Exception):
    """An invariant does not hold. The message is the sentence of a violation."""


class World:
    """One connection at a time, and what is known to be wrong with it."""

    def __init__(self, target: Target, *, faults: bool) -> None:
        self.target = target
        self.faults = faults
        self.hypervisor: Hypervisor = target.connect()
        if self.hypervisor.lifecycle is None or self.hypervisor.inventory is None:
            self.hypervisor.close()
            raise InvalidInput(
                f"{target.url} cannot make instances, so nothing can be done to them",
                hint="Chaos needs a driver with the parts inventory and lifecycle.",
            )
        self._aftermath = 0

    @property
    def lifecycle(self) -> Lifecycle:
        assert self.hypervisor.lifecycle is not None
        return self.hypervisor.lifecycle

    @property
    def inventory(self) -> Inventory:
        assert self.hypervisor.inventory is not None
        return self.hypervisor.inventory

    @property
    def snapshots(self) -> Snapshots:
        assert self.hypervisor.snapshots is not None
        return self.hypervisor.snapshots

    def disconnect(self) -> bool:
        """Cut the connection; False where there is none to cut."""
        cut = self.target.disconnect(self.hypervisor)
        self._aftermath = AFTERMATH if cut else 0
        return cut

    def reconnect(self) -> None:
        with contextlib.suppress(HyperSDKError):
            self.hypervisor.close()
        self.hypervisor = self.patiently(self.target.connect)

    def attempt(
        self, call: Callable[[], object], refusal: type[HyperSDKError] | None = None
    ) -> Outcome:
        """Call, where ``refusal`` is what must be raised (None: nothing).

        Raises Broken for another ending, unless faults may explain it.
        """
        try:
            call()
        except HyperSDKError as error:
            if refusal is not None and isinstance(error, refusal):
                return Outcome.REFUSED
            if self._explained(error):
                return Outcome.UNCERTAIN
            wanted = refusal.__name__ if refusal is not None else "success"
            said = f"{type(error).__name__} ({error.message})"
            raise Broken(f"it must end with {wanted} and ended with {said}") from error
        if refusal is not None:
            raise Broken(f"it must end with {refusal.__name__} and succeeded")
        self._aftermath = 0
        return Outcome.DONE

    def patiently(self, question: Callable[[], T]) -> T:
        """The answer, asked for again while faults get in the way. Raises Broken."""
        for _ in range(PATIENCE):
            try:
                answer = question()
            except InstanceNotFound:
                raise
            except HyperSDKError as error:
                if not self._explained(error):
                    said = f"{type(error).__name__} ({error.message})"
                    raise Broken(f"looking at it ended with {said}") from error
                failed = error
                continue
            self._aftermath = 0
            return answer
        raise Broken(f"it could not be looked at {PATIENCE} times in a row: {failed.message}")

    def look(self, name: str) -> Instance | None:
        """The instance as the driver shows it, which must be as the backend shows it."""
        try:
            seen = self.patiently(lambda: self.inventory.instance(name))
        except InstanceNotFound:
            seen = None
        observer = self.target.observer
        if observer is None:
            return seen
        truth = observer.look(name)
        if (truth is None) is not (seen is None):
            which = "the driver" if truth is None else "the backend"
            raise Broken(f"only {which} shows it")
        if truth is not None and seen is not None and truth.state not in (None, seen.state):
            raise Broken(f"the driver shows it {seen.state.value}, the backend {truth.state.value}")
        return seen

    def leaks(self, before: frozenset[str]) -> frozenset[str]:
        """What is in the backend and was not; it gets some time to tidy up."""
        observer = self.target.observer
        if observer is None:
            return frozenset()
        deadline = time.monotonic() + self.target.expectations.settle
        while (left := observer.resources() - before) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def _explained(self, error: HyperSDKError) -> bool:
        """By injected faults, or by the connection that was cut just now."""
        if isinstance(error, NotSupported):
            return False
        if self._aftermath > 0:
            self._aftermath -= 1
            return isinstance(error, HypervisorError)
        return self.faults and isinstance(error, HypervisorError)
