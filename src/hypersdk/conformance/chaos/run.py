"""Random operations and faults on a few instances, and what must hold all along.

Legal states only, as the table of operations says; no instance is lost or appears; ids are stable;
disks hold what guests wrote, and nothing else changes them; a call that failed has had its effect
or not, and what is observed decides; in the end nothing is left behind.

The same seed gives the same steps (`plan`). A violation names the step, so that a run can be
repeated up to it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hypersdk.conformance.chaos.acts import Acts, possible
from hypersdk.conformance.chaos.judge import Judge
from hypersdk.conformance.chaos.model import Expected
from hypersdk.conformance.chaos.plan import Step, steps
from hypersdk.conformance.chaos.world import Broken, World
from hypersdk.conformance.target import Target
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import AlreadyExists
from hypersdk.model.instances import Instance

#: Instances that a run works on.
SLOTS = 5
#: All instances are compared with the listing every so many steps, and in the end.
CHECK_EVERY = 20
#: A run ends after so many violations: what follows the first ones says little.
ENOUGH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Something that must hold and does not."""

    #: Number of the step; -1: after all of them.
    step: int
    act: str
    instance: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosReport:
    """What a run did and found."""

    url: str
    seed: int
    faults: bool
    steps: int
    seconds: float
    #: Act → outcome → how often.
    tally: Mapping[str, Mapping[str, int]]
    #: Instances that changed behind our back while faults were injected.
    drifts: int
    violations: tuple[Violation, ...]
    #: One line per step: ``17 start chaos-2: done``.
    journal: tuple[str, ...]


#: Called after each step with its line of the journal.
Watch = Callable[[str], None]


def chaos(
    target: Target,
    *,
    seed: int,
    seconds: float = 60.0,
    limit: int | None = None,
    faults: bool = False,
    cancel: CancelToken | None = None,
    watch: Watch = lambda line: None,  # noqa: ARG005
) -> ChaosReport:
    """Do random things for ``seconds``, or ``limit`` steps. Instances are removed in the end.

    ``faults``: connections are cut, instances crash, and errors of the hypervisor that leave open
    whether a call had an effect are no violations. Cancelled, it ends early and tidies up.
    """
    began = time.monotonic()
    observer = target.observer
    before = observer.resources() if observer is not None else frozenset()
    world = World(target, faults=faults)
    run = _Run(world, seed, watch)
    run.begin()
    try:
        run.play(cancel or CancelToken(), began + seconds, limit)
    finally:
        run.tidy_up(before)
    return run.report(seed, time.monotonic() - began)


class _Run:
    def __init__(self, world: World, seed: int, watch: Watch) -> None:
        self._world = world
        self._watch = watch
        self._acts = possible(world)
        self._steps = steps(seed, self._acts, SLOTS)
        # What a failure plan does may depend on names: the same seed has the same ones.
        self._slots = [Expected(f"chaos-{seed}-{number}") for number in range(SLOTS)]
        self._judge = Judge(world, self._slots)
        self._doing = Acts(world, self._judge)
        self._tally: dict[str, Counter[str]] = {}
        self._journal: list[str] = []
        self._violations: list[Violation] = []

    def begin(self) -> None:
        """Raise AlreadyExists when instances of these names are there: they are somebody's."""
        seen = {each.name for each in self._world.patiently(self._instances)}
        taken = [slot.name for slot in self._slots if slot.name in seen]
        if taken:
            self._world.hypervisor.close()
            raise AlreadyExists(
                f"{', '.join(taken)} exist already on {self._world.target.url}",
                hint="Another run of the same seed goes on, or was killed. Wait, delete them, or "
                "use another --seed.",
            )

    def _instances(self) -> list[Instance]:
        return list(self._world.inventory.instances())

    def play(self, cancel: CancelToken, deadline: float, limit: int | None) -> None:
        for step in self._steps:
            if cancel.cancelled or time.monotonic() > deadline or step.number == limit:
                return
            self._take(step)
            if step.number % CHECK_EVERY == CHECK_EVERY - 1:
                self._check(step.number, "compare all")
            if len(self._violations) >= ENOUGH:
                return

    def tidy_up(self, before: frozenset[str]) -> None:
        self._check(-1, "compare all")
        for slot in self._slots:
            try:
                self._doing.remove(slot)
            except Broken as broken:
                self._violate(-1, "remove", slot.name, str(broken))
        self._world.hypervisor.close()
        for left in sorted(self._world.leaks(before)):
            self._violate(-1, "tidy up", "", f"left behind: {left}")

    def report(self, seed: int, seconds: float) -> ChaosReport:
        return ChaosReport(
            url=self._world.target.url,
            seed=seed,
            faults=self._world.faults,
            steps=len(self._journal),
            seconds=seconds,
            tally={act: dict(outcomes) for act, outcomes in self._tally.items()},
            drifts=self._judge.drifts,
            violations=tuple(self._violations),
            journal=tuple(self._journal),
        )

    def _take(self, step: Step) -> None:
        slot = self._slots[step.slot]
        try:
            outcome = self._doing.take(step, slot)
            word = outcome.value
        except Broken as broken:
            outcome, word = None, f"VIOLATION: {broken}"
            self._violate(step.number, step.act.value, slot.name, str(broken))
            self._judge.adopt(slot)
        name = outcome.value if outcome is not None else "violation"
        self._tally.setdefault(step.act.value, Counter())[name] += 1
        self._journal.append(f"{step.number} {step.act.value} {step.slot}: {word}")
        self._watch(self._journal[-1])

    def _check(self, number: int, act: str) -> None:
        try:
            problems = self._judge.compare_all()
        except Broken as broken:
            problems = [("", str(broken))]
        for name, problem in problems:
            self._violate(number, act, name, problem)

    def _violate(self, number: int, act: str, name: str, problem: str) -> None:
        self._violations.append(Violation(step=number, act=act, instance=name, problem=problem))
