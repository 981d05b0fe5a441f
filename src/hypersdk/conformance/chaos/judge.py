"""Compares what is seen with what must be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from hypersdk.conformance.chaos.model import BLOCK, STRIDE, Expected, Outcome, strange
from hypersdk.conformance.chaos.world import Broken, World
from hypersdk.model.errors import HyperSDKError, InstanceNotFound
from hypersdk.model.instances import TRANSITIONS, InstanceState


class Judge:
    """Knows all instances of a run. Raises Broken for what must not be."""

    def __init__(self, world: World, slots: Sequence[Expected]) -> None:
        self._world = world
        self._slots = slots
        #: Instances that changed behind our back while faults were injected.
        self.drifts = 0

    def adopt(self, slot: Expected) -> None:
        """Go on from what is there, after a violation that has been noted."""
        with contextlib.suppress(Broken):
            try:
                seen = self._world.patiently(lambda: self._world.inventory.instance(slot.name))
            except InstanceNotFound:
                slot.forget()
                return
            if seen.id != slot.id:
                slot.contents, slot.snapshots = [{}], {}
            slot.id, slot.state = seen.id, seen.state

    def compare_all(self) -> list[tuple[str, str]]:
        """What is wrong with the listing and the disks: name and sentence."""
        listed = self._world.patiently(lambda: list(self._world.inventory.instances()))
        seen = {each.name: each for each in listed}
        found: list[tuple[str, str]] = []
        for slot in self._slots:
            one = seen.get(slot.name)
            if one is None or not slot.exists:
                if slot.exists:
                    found.append((slot.name, "it is not listed any more"))
                    slot.forget()
                elif one is not None:
                    found.append((slot.name, "it is listed and was never made"))
                    slot.id, slot.state = one.id, one.state
                continue
            problem = strange(slot, one, self._allowed(slot, {slot.state}))
            if problem:
                found.append((slot.name, problem))
            self._note_drift(slot, one.state)
            slot.id, slot.state = one.id, one.state
            with _noting(found, slot.name):
                self.compare_disk(slot)
        return found

    def on_nothing(self, call: Callable[[], object], slot: Expected) -> Outcome:
        outcome = self._world.attempt(call, InstanceNotFound)
        if self._world.look(slot.name) is not None:
            raise Broken("it is there and was never made")
        return outcome

    def judge(self, slot: Expected, states: set[InstanceState]) -> None:
        seen = self._world.look(slot.name)
        if seen is None:
            raise Broken("it is gone")
        problem = strange(slot, seen, self._allowed(slot, states))
        if problem:
            raise Broken(problem)
        if seen.state not in states:
            self.drifts += 1
        slot.state = seen.state

    def _allowed(self, slot: Expected, states: set[InstanceState]) -> frozenset[InstanceState]:
        """Faults may move it to wherever one transition leads, or crash it with its host."""
        if not self._world.faults:
            return frozenset(states)
        drifted = {to for state in states for to in TRANSITIONS[state]}
        active = states - {InstanceState.STOPPED} or slot.state is not InstanceState.STOPPED
        return frozenset(states | drifted | ({InstanceState.CRASHED} if active else set()))

    def _note_drift(self, slot: Expected, state: InstanceState) -> None:
        if self._world.faults and state is not slot.state:
            self.drifts += 1

    def compare_disk(self, slot: Expected) -> None:
        guest = self._world.target.guest
        if guest is None or not slot.exists:
            return
        with target_works():
            read = {b: guest.read(slot.name, b * STRIDE, BLOCK) for b in slot.blocks()}
        problem = slot.compare(read)
        if problem:
            slot.contents = [dict(read)]  # said once
            raise Broken(problem)


@contextlib.contextmanager
def _noting(found: list[tuple[str, str]], name: str) -> Iterator[None]:
    try:
        yield
    except Broken as broken:
        found.append((name, str(broken)))


@contextlib.contextmanager
def target_works() -> Iterator[None]:
    """What looks past the driver is not under test: its failures are told as what they are."""
    try:
        yield
    except (HyperSDKError, OSError) as error:
        raise Broken(f"the target itself failed: {error}") from error
