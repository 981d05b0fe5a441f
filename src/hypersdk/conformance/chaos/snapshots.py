"""The acts of a run of chaos that take, delete and revert to snapshots."""

from __future__ import annotations

from hypersdk.conformance.benchmark import lacks
from hypersdk.conformance.chaos.judge import Judge
from hypersdk.conformance.chaos.model import Expected, Outcome
from hypersdk.conformance.chaos.plan import Act, Step
from hypersdk.conformance.chaos.world import Broken, World
from hypersdk.model.instances import InstanceState

#: Snapshots of one instance at a time.
SNAPSHOTS = 3


class SnapshotActs:
    """Raises Broken."""

    def __init__(self, world: World, judge: Judge) -> None:
        self._world = world
        self._judge = judge
        self._of_running = not lacks(world.hypervisor.snapshots, "snapshots.running")
        self._keeps_tree = not lacks(world.hypervisor.snapshots, "snapshots.tree")

    def take(self, step: Step, slot: Expected) -> Outcome:
        if not slot.exists:
            part = self._world.snapshots
            return self._judge.on_nothing(lambda: part.snapshots(slot.name), slot)
        match step.act:
            case Act.SNAPSHOT:
                outcome = self._take_snapshot(f"at-{step.number}", slot)
            case Act.DROP:
                outcome = self._drop_snapshot(step.dice, slot)
            case _:
                outcome = self._revert(step.dice, slot)
        if outcome is not Outcome.PASSED_OVER:
            self._judge.compare_disk(slot)
        return outcome

    def _take_snapshot(self, name: str, slot: Expected) -> Outcome:
        fits = slot.state is InstanceState.STOPPED or (
            slot.state is InstanceState.RUNNING and self._of_running
        )
        if not fits or len(slot.snapshots) >= SNAPSHOTS:
            return Outcome.PASSED_OVER
        part = self._world.snapshots
        outcome = self._world.attempt(lambda: part.create(slot.name, name))
        there = self._listed(slot)
        if name in there:
            slot.keep(name)
        self._compare_snapshots(slot, there, {name} if outcome is Outcome.DONE else set())
        self._judge.judge(slot, {slot.state})
        return outcome

    def _drop_snapshot(self, dice: int, slot: Expected) -> Outcome:
        if not slot.snapshots:
            return Outcome.PASSED_OVER
        name = _chosen(slot, dice)
        part = self._world.snapshots
        outcome = self._world.attempt(lambda: part.delete(slot.name, name))
        there = self._listed(slot)
        if name not in there or outcome is Outcome.DONE:
            del slot.snapshots[name]
        self._compare_snapshots(slot, there, set())
        self._judge.judge(slot, {slot.state})
        return outcome

    def _revert(self, dice: int, slot: Expected) -> Outcome:
        """Of a stopped instance; in which state it is afterwards, the snapshot decides."""
        if not slot.snapshots or slot.state is not InstanceState.STOPPED:
            return Outcome.PASSED_OVER
        name = _chosen(slot, dice)
        part = self._world.snapshots
        outcome = self._world.attempt(lambda: part.revert(slot.name, name))
        if outcome is Outcome.DONE:
            slot.bring_back(name)
        else:
            slot.maybe_bring_back(name)
        there = self._listed(slot)
        if not self._keeps_tree:
            slot.snapshots = {n: c for n, c in slot.snapshots.items() if n in there or n == name}
        self._compare_snapshots(slot, there, {name})
        states = {InstanceState.STOPPED, InstanceState.RUNNING, InstanceState.PAUSED}
        self._judge.judge(slot, states)
        return outcome

    def _listed(self, slot: Expected) -> set[str]:
        part = self._world.snapshots
        return {each.name for each in self._world.patiently(lambda: part.snapshots(slot.name))}

    def _compare_snapshots(self, slot: Expected, there: set[str], certain: set[str]) -> None:
        wrong = there ^ (slot.snapshots.keys() | certain)
        if wrong:
            slot.snapshots = {n: c for n, c in slot.snapshots.items() if n in there}
            raise Broken(f"its snapshots are {sorted(there)}; wrong about {sorted(wrong)}")


def _chosen(slot: Expected, dice: int) -> str:
    return list(slot.snapshots)[dice % len(slot.snapshots)]
