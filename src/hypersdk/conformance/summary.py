"""What all reports say about a run: counts, names, the verdict, a case across hypervisors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hypersdk.conformance.results import CaseResult, HypervisorResult, Run, Verdict
from hypersdk.model.errors import HyperSDKError, HypervisorError, PartialFailure

EXIT_NOTHING_RAN = 3


@dataclass(frozen=True, slots=True)
class Counts:
    """Cases by verdict."""

    passed: int
    failed: int
    skipped: int

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True, slots=True)
class Across:
    """One case on all hypervisors of a run."""

    case: str
    requirement: str
    title: str
    #: Name of each hypervisor where anything ran → its result; None: not that of this case.
    results: Mapping[str, CaseResult | None]

    @property
    def alike(self) -> bool:
        """The same verdict everywhere."""
        return len({each and each.verdict for each in self.results.values()}) == 1


def names(run: Run) -> tuple[str, ...]:
    """A short name per hypervisor, in order: its driver, or its URL where there are several."""
    drivers = [each.driver for each in run.hypervisors]
    return tuple(
        each.driver if drivers.count(each.driver) == 1 else each.url for each in run.hypervisors
    )


def counts(hypervisor: HypervisorResult) -> Counts:
    verdicts = [case.verdict for case in hypervisor.cases]
    return Counts(*(verdicts.count(verdict) for verdict in Verdict))


def total(run: Run) -> Counts:
    all_counts = [counts(each) for each in run.hypervisors]
    return Counts(
        sum(each.passed for each in all_counts),
        sum(each.failed for each in all_counts),
        sum(each.skipped for each in all_counts),
    )


def across(run: Run) -> tuple[Across, ...]:
    """Every case that ran somewhere, in the order of the first hypervisor that had it.

    A hypervisor where nothing ran is left out: there is nothing to compare.
    """
    by_name = {
        name: {case.case: case for case in each.cases}
        for name, each in zip(names(run), run.hypervisors, strict=True)
        if each.cases
    }
    first = {
        id: case for cases in reversed(by_name.values()) for id, case in reversed(cases.items())
    }
    order = dict.fromkeys(id for cases in by_name.values() for id in cases)
    return tuple(
        Across(
            id,
            first[id].requirement,
            first[id].title,
            {name: cases.get(id) for name, cases in by_name.items()},
        )
        for id in order
    )


def nothing_ran(run: Run) -> bool:
    """No case passed or failed anywhere, and nothing was measured: a run that says nothing."""
    found = total(run)
    measured = any(each.samples for each in run.hypervisors)
    return not (found.passed or found.failed or measured)


def verdict(run: Run) -> str:
    """One sentence."""
    if nothing_ran(run):
        return "nothing could run"
    found = total(run)
    problems = sum(1 for each in run.hypervisors if each.problem)
    if found.failed:
        return f"{found.failed} of {found.total} cases failed"
    if problems:
        return f"{problems} of {len(run.hypervisors)} hypervisors could not be tested in full"
    if not found.total:
        return "measured"
    return "all that ran passed"


def failure(run: Run) -> HyperSDKError | None:
    """The error that a run which is not all good ends with; None when it is."""
    problems = {
        name: HypervisorError(each.problem)
        for name, each in zip(names(run), run.hypervisors, strict=True)
        if each.problem
    }
    if nothing_ran(run):
        return PartialFailure("nothing could run", dict(problems))
    if not total(run).failed and not problems:
        return None
    return HyperSDKError(
        verdict(run), hint="'hypersdk conform run --report DIR' has the details of each failure."
    )
