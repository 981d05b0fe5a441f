"""What each hypervisor can do, from what cases found. The source of docs/hypervisors.md.

A cell says what was *seen*:

full
    every case of the requirement passed, and there was at least one
partial
    cases passed, others were skipped or the driver declares limits; the note says which
none
    the hypervisor lacks the part, or declares that it lacks the aspect
failing
    a case failed; never hidden behind anything else
untested
    nothing ran that could tell
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from hypersdk.conformance.parts import lacking
from hypersdk.conformance.reports.words import count
from hypersdk.conformance.requirements import REQUIREMENTS
from hypersdk.conformance.results import CaseResult, HypervisorResult, Run, Verdict
from hypersdk.conformance.summary import names
from hypersdk.drivers.ports import PARTS
from hypersdk.model.capabilities import Grade, Limit

#: How the reason of a case begins that tests how a limit is refused, where there is no such limit.
NOT_LIMITED = "no such limit"


class Mark(Enum):
    """What a cell says."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"
    FAILING = "failing"
    UNTESTED = "untested"


@dataclass(frozen=True, slots=True)
class Cell:
    """One requirement on one hypervisor."""

    mark: Mark
    #: What is missing, what failed, why it was not tested. Sentences.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement."""

    requirement: str
    #: What it asks, in one sentence.
    sentence: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Requirements by hypervisors."""

    columns: tuple[str, ...]
    hypervisors: tuple[HypervisorResult, ...]
    rows: tuple[Row, ...]


def matrix(runs: Sequence[Run], requirements: Mapping[str, str] = REQUIREMENTS) -> Matrix:
    """All hypervisors of all runs; of one that occurs several times, the latest run counts."""
    latest: dict[str, HypervisorResult] = {}
    for run in sorted(runs, key=lambda each: each.began):
        latest.update(zip(names(run), run.hypervisors, strict=True))
    found = tuple(latest.values())
    return Matrix(
        columns=tuple(latest),
        hypervisors=found,
        rows=tuple(
            Row(id, sentence, tuple(_cell(each, id) for each in found))
            for id, sentence in requirements.items()
        ),
    )


def _cell(hypervisor: HypervisorResult, requirement: str) -> Cell:
    cases = _cases(hypervisor, requirement)
    failed = [case for case in cases if case.verdict is Verdict.FAILED]
    if failed:
        return Cell(Mark.FAILING, tuple(f"{c.case} failed: {_first_line(c)}" for c in failed))
    absent = _absent(hypervisor, requirement)
    if absent is not None:
        return absent
    limits = _limits(hypervisor, requirement)
    skipped = [case for case in cases if case.verdict is Verdict.SKIPPED]
    if not any(case.verdict is Verdict.PASSED for case in cases):
        return Cell(Mark.UNTESTED, _reasons(skipped) or _why_untested(hypervisor))
    elsewhere = _shown_elsewhere(hypervisor)
    telling = [c for c in skipped if not c.reason.startswith(elsewhere)]
    notes = (*(_declared(limit) for limit in limits), *_reasons(telling))
    return Cell(Mark.PARTIAL if notes else Mark.FULL, notes)


def _cases(hypervisor: HypervisorResult, requirement: str) -> list[CaseResult]:
    """Those of the requirement; a part without any is shown by those of its aspects."""
    own = [case for case in hypervisor.cases if case.requirement == requirement]
    return own or [c for c in hypervisor.cases if c.requirement.startswith(f"{requirement}.")]


def _absent(hypervisor: HypervisorResult, requirement: str) -> Cell | None:
    """The part is not there, or the driver says that it lacks this very aspect."""
    part, _, aspect = requirement.partition(".")
    for capability in hypervisor.capabilities:
        if capability.part != part:
            continue
        if capability.grade is Grade.NONE:
            return Cell(Mark.NONE)
        if aspect:
            for limit in capability.limits:
                if limit.aspect == requirement:
                    return Cell(Mark.NONE, (limit.note,))
    return None


def _limits(hypervisor: HypervisorResult, requirement: str) -> tuple[Limit, ...]:
    """Those of a part; an aspect has none of its own."""
    for capability in hypervisor.capabilities:
        if capability.part == requirement:
            return capability.limits
    return ()


def _declared(limit: Limit) -> str:
    return f"no {limit.aspect.partition('.')[2] or limit.aspect}: {limit.note}"


def _shown_elsewhere(hypervisor: HypervisorResult) -> tuple[str, ...]:
    """Reasons that say nothing about the requirement whose case was skipped for them: a part or an
    aspect that the case took besides is lacking, and has a row of its own; or there was nothing to
    refuse, because all is offered."""
    limits = [limit for each in hypervisor.capabilities for limit in each.limits]
    return (
        NOT_LIMITED,
        *(lacking(part) for part in PARTS),
        *(f"{limit.aspect}: {limit.note}" for limit in limits),
    )


def _reasons(skipped: Sequence[CaseResult]) -> tuple[str, ...]:
    """Why cases were skipped, each reason once."""
    reasons = Counter(_first_line(case) for case in skipped)
    return tuple(f"{count(number, 'case')} skipped: {why}" for why, number in reasons.items())


def _why_untested(hypervisor: HypervisorResult) -> tuple[str, ...]:
    return (hypervisor.problem,) if hypervisor.problem and not hypervisor.cases else ()


def _first_line(case: CaseResult) -> str:
    return case.reason.strip().partition("\n")[0] or "without a reason"
