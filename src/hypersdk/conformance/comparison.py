"""What differs between two runs: verdicts of cases, and how long operations take."""

from __future__ import annotations

from dataclasses import dataclass

from hypersdk.conformance.figures import SLOWER, Regression, figures, slower
from hypersdk.conformance.results import CaseResult, HypervisorResult, Run
from hypersdk.conformance.summary import names


@dataclass(frozen=True, slots=True)
class Change:
    """A case whose verdict is another one. None: it was not run."""

    hypervisor: str
    case: str
    before: CaseResult | None
    after: CaseResult | None


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians of an operation in both runs. Seconds."""

    hypervisor: str
    operation: str
    before: float
    after: float
    #: Slower than noise explains.
    regression: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """From one run to another."""

    changes: tuple[Change, ...]
    timings: tuple[Timing, ...]
    #: Hypervisors that only one of the runs has.
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]


def compare(before: Run, after: Run) -> Comparison:
    """Hypervisors are matched by name: driver, or URL where there are several of one driver."""
    old, new = _by_name(before), _by_name(after)
    both = [name for name in new if name in old]
    return Comparison(
        changes=tuple(c for name in both for c in _changes(name, old[name], new[name])),
        timings=tuple(t for name in both for t in _timings(name, old[name], new[name])),
        only_before=tuple(name for name in old if name not in new),
        only_after=tuple(name for name in new if name not in old),
    )


def regressions(run: Run, baseline: Run, *, threshold: float = SLOWER) -> tuple[Regression, ...]:
    """What became slower since ``baseline`` by more than ``threshold`` and more than noise."""
    old = _by_name(baseline)
    found = []
    for name, now in _by_name(run).items():
        if name not in old:
            continue
        earlier = {each.operation: each for each in figures(old[name].samples)}
        for each in figures(now.samples):
            before = earlier.get(each.operation)
            if before is not None and slower(before, each, threshold=threshold):
                found.append(
                    Regression(hypervisor=name, operation=each.operation, before=before, now=each)
                )
    return tuple(found)


def _by_name(run: Run) -> dict[str, HypervisorResult]:
    return dict(zip(names(run), run.hypervisors, strict=True))


def _changes(name: str, old: HypervisorResult, new: HypervisorResult) -> list[Change]:
    before = {case.case: case for case in old.cases}
    after = {case.case: case for case in new.cases}
    found = [
        Change(name, id, before.get(id), after.get(id)) for id in dict.fromkeys([*after, *before])
    ]
    return [
        each
        for each in found
        if (each.before and each.before.verdict) is not (each.after and each.after.verdict)
    ]


def _timings(name: str, old: HypervisorResult, new: HypervisorResult) -> list[Timing]:
    before = {each.operation: each for each in figures(old.samples)}
    return [
        Timing(
            name,
            each.operation,
            before[each.operation].median,
            each.median,
            slower(before[each.operation], each),
        )
        for each in figures(new.samples)
        if each.operation in before
    ]
