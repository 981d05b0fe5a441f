"""What each act of a run of chaos does, and what must follow from it."""

from __future__ import annotations

import time
from collections.abc import Callable

from hypersdk.conformance.benchmark import lacks
from hypersdk.conformance.chaos.judge import Judge, target_works
from hypersdk.conformance.chaos.model import (
    BLOCK,
    BLOCKS,
    STRIDE,
    Expected,
    Outcome,
    after,
    pattern,
)
from hypersdk.conformance.chaos.plan import FAULTS, Act, Step
from hypersdk.conformance.chaos.snapshots import SnapshotActs
from hypersdk.conformance.chaos.world import PATIENCE, Broken, World
from hypersdk.conformance.target import Crashes
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    InvalidState,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.operations import Gone, Operation

_OPERATIONS = {
    Act.START: Operation.START,
    Act.STOP: Operation.STOP,
    Act.FORCE_STOP: Operation.FORCE_STOP,
    Act.PAUSE: Operation.PAUSE,
    Act.RESUME: Operation.RESUME,
    Act.RESET: Operation.RESET,
    Act.DELETE: Operation.DELETE,
}

#: Act → the aspect of the lifecycle that it takes.
_ASPECTS = {
    Act.START_PAUSED: "lifecycle.start_paused",
    Act.STOP: "lifecycle.graceful_stop",
    Act.PAUSE: "lifecycle.pause",
    Act.RESUME: "lifecycle.pause",
    Act.RESET: "lifecycle.reset",
}


def possible(world: World) -> frozenset[Act]:
    """What this hypervisor can be asked to do."""
    lifecycle, target = world.lifecycle, world.target
    lacking = {act for act, aspect in _ASPECTS.items() if lacks(lifecycle, aspect)}
    if not target.expectations.obeys_stop:
        lacking.add(Act.STOP)
    if target.guest is None:
        lacking |= {Act.WRITE, Act.READ}
    if lacks(world.hypervisor.snapshots, "snapshots"):
        lacking |= {Act.SNAPSHOT, Act.DROP, Act.REVERT}
    elif lacks(world.hypervisor.snapshots, "snapshots.revert"):
        lacking.add(Act.REVERT)
    if not isinstance(target, Crashes):
        lacking.add(Act.CRASH)
    if not world.faults:
        lacking |= FAULTS
    return frozenset(Act) - lacking


class Acts:
    """Does them, and judges what is seen afterwards. Raises Broken."""

    def __init__(self, world: World, judge: Judge) -> None:
        self._world = world
        self._judge = judge
        self._snapshots = SnapshotActs(world, judge)
        #: When each instance was started last, for guests that must boot before they obey.
        self._started: dict[str, float] = {}

    def take(self, step: Step, slot: Expected) -> Outcome:
        if self._world.faults and slot.exists:
            # A fault elsewhere may have changed it: a crashed host crashes all that runs.
            self._judge.judge(slot, {slot.state})
        match step.act:
            case Act.CREATE:
                return self._create(slot)
            case Act.START_PAUSED:
                return self._start_paused(slot)
            case Act.WRITE | Act.READ:
                return self._guest(step, slot)
            case Act.SNAPSHOT | Act.DROP | Act.REVERT:
                return self._snapshots.take(step, slot)
            case Act.LIST:
                return self._list()
            case Act.DISCONNECT | Act.RECONNECT | Act.CRASH:
                return self._fault(step.act, slot)
            case _:
                return self._operate(step.act, slot)

    def remove(self, slot: Expected) -> None:
        """In the end; what is missing was noted before."""
        world, name = self._world, slot.name
        for _ in range(PATIENCE):
            try:
                world.patiently(lambda: world.inventory.instance(name))
            except InstanceNotFound:
                return
            stopped = world.attempt(lambda: world.lifecycle.stop(name, force=True))
            if stopped is Outcome.UNCERTAIN:
                continue
            if world.attempt(lambda: world.lifecycle.delete(name, disks=True)) is Outcome.DONE:
                return
        raise Broken("it could not be removed")

    def _create(self, slot: Expected) -> Outcome:
        spec = self._world.target.spec(slot.name)
        refusal = AlreadyExists if slot.exists else None
        outcome = self._world.attempt(lambda: self._world.lifecycle.create(spec), refusal)
        if slot.exists:
            self._judge.judge(slot, {slot.state})
            return outcome
        seen = self._world.look(slot.name)
        if seen is None:
            if outcome is Outcome.DONE:
                raise Broken("it was created and is not there")
            return outcome
        slot.id, slot.state = seen.id, InstanceState.STOPPED
        self._judge.judge(slot, {InstanceState.STOPPED})
        self._fill(slot)
        return outcome

    def _fill(self, slot: Expected) -> None:
        """All blocks are known from the beginning, so that no revert can go unnoticed."""
        if self._world.target.guest is not None:
            for block in range(BLOCKS):
                self._write(slot, block, pattern(2 * block + 1))

    def _operate(self, act: Act, slot: Expected) -> Outcome:
        call = self._call(act, slot)
        if not slot.exists:
            return self._judge.on_nothing(call, slot)
        follows = after(_OPERATIONS[act], slot.state)
        outcome = self._world.attempt(call, InvalidState if follows is None else None)
        if follows is Gone.GONE:
            return self._judge_deleted(slot, outcome)
        if act in (Act.START, Act.RESET):
            self._started[slot.name] = time.monotonic()
        self._judge.judge(slot, _possible(slot.state, follows, outcome))
        return outcome

    def _call(self, act: Act, slot: Expected) -> Callable[[], object]:
        lifecycle, name = self._world.lifecycle, slot.name
        match act:
            case Act.STOP:
                self._let_boot(slot)
                limit = self._world.target.expectations.stop
                return lambda: lifecycle.stop(name, timeout=limit)
            case Act.FORCE_STOP:
                return lambda: lifecycle.stop(name, force=True)
            case Act.DELETE:
                return lambda: lifecycle.delete(name, disks=True)
        methods = {
            Act.START: lifecycle.start,
            Act.PAUSE: lifecycle.pause,
            Act.RESUME: lifecycle.resume,
            Act.RESET: lifecycle.reset,
        }
        return lambda: methods[act](name)

    def _start_paused(self, slot: Expected) -> Outcome:
        """Paused when it was stopped; the table says nothing of other states."""
        if slot.exists and slot.state not in (InstanceState.STOPPED, InstanceState.PAUSED):
            return Outcome.PASSED_OVER
        lifecycle = self._world.lifecycle

        def call() -> None:
            lifecycle.start(slot.name, paused=True)

        if not slot.exists:
            return self._judge.on_nothing(call, slot)
        outcome = self._world.attempt(call)
        self._started[slot.name] = time.monotonic()
        self._judge.judge(slot, _possible(slot.state, InstanceState.PAUSED, outcome))
        return outcome

    def _let_boot(self, slot: Expected) -> None:
        """Guests that are still booting do not obey."""
        boot = self._world.target.expectations.boot
        if boot and slot.state is InstanceState.RUNNING:
            since = time.monotonic() - self._started.get(slot.name, 0.0)
            time.sleep(max(0.0, boot - since))

    def _judge_deleted(self, slot: Expected, outcome: Outcome) -> Outcome:
        seen = self._world.look(slot.name)
        if seen is None:
            slot.forget()
        elif outcome is Outcome.DONE:
            raise Broken("it was deleted and is still there")
        else:
            self._judge.judge(slot, {slot.state})
        return outcome

    def _guest(self, step: Step, slot: Expected) -> Outcome:
        guest = self._world.target.guest
        if guest is None or not slot.exists:
            return Outcome.PASSED_OVER
        if step.act is Act.READ:
            self._judge.compare_disk(slot)
            return Outcome.DONE
        self._write(slot, step.dice // 8 % BLOCKS, pattern(step.dice))
        return Outcome.DONE

    def _write(self, slot: Expected, block: int, data: bytes) -> None:
        guest = self._world.target.guest
        assert guest is not None
        with target_works():
            if any(data):
                guest.write(slot.name, block * STRIDE, data)
            else:
                guest.zero(slot.name, block * STRIDE, BLOCK)
        slot.write(block, data)

    def _list(self) -> Outcome:
        for name, problem in self._judge.compare_all():
            raise Broken(f"{name}: {problem}")
        return Outcome.DONE

    def _fault(self, act: Act, slot: Expected) -> Outcome:
        if act is Act.CRASH:
            return self._crash(slot)
        if act is Act.DISCONNECT:
            return Outcome.DONE if self._world.disconnect() else Outcome.PASSED_OVER
        self._world.reconnect()
        return self._list()

    def _crash(self, slot: Expected) -> Outcome:
        target = self._world.target
        if not isinstance(target, Crashes) or slot.state is not InstanceState.RUNNING:
            return Outcome.PASSED_OVER
        with target_works():
            target.crash(slot.name)
        self._judge.judge(slot, {InstanceState.CRASHED})
        return Outcome.DONE


def _possible(
    before: InstanceState, follows: InstanceState | Gone | None, outcome: Outcome
) -> set[InstanceState]:
    if not isinstance(follows, InstanceState) or outcome is Outcome.REFUSED:
        return {before}
    return {follows} if outcome is Outcome.DONE else {before, follows}
