"""docs/hypervisors.md: the matrix of capabilities as a page, from stored results alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hypersdk.conformance.expectations import SOURCE, expected
from hypersdk.conformance.figures import figures
from hypersdk.conformance.matrix import Cell, Mark, Matrix, matrix
from hypersdk.conformance.reports.words import printable, span
from hypersdk.conformance.results import HypervisorResult, Run
from hypersdk.conformance.summary import counts

_HEAD = """\
# What each hypervisor can do

This page is written by `hypersdk conform matrix` from the results of a run of the conformance kit;
a test compares it with them. Nothing in it was put there by hand.

| word | what was seen |
|---|---|
| full | every case of the requirement passed |
| partial | cases passed, and something is missing: the note says what |
| none | the hypervisor or its driver lacks it; no part, or `NotSupported` before anything changes |
| **failing** | a case failed |
| untested | nothing ran that could tell |
"""


def page(runs: Sequence[Run]) -> str:
    """The page; of a hypervisor that occurs in several runs, the latest counts."""
    found = matrix(runs)
    notes = _Notes()
    parts = [
        _HEAD,
        *_tested(found),
        *_table(found, notes),
        *notes.section(),
        *_benchmarks(found),
    ]
    return "\n".join(parts).rstrip() + "\n"


class _Notes:
    """Numbered in the order in which they are first used; the same note is one note."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, note: str) -> int:
        return self._numbers.setdefault(note, len(self._numbers) + 1)

    def section(self) -> Iterator[str]:
        if not self._numbers:
            return
        yield "\n## Notes\n"
        for note, number in self._numbers.items():
            yield f"{number}. {_escaped(note)}"


def _tested(found: Matrix) -> Iterator[str]:
    yield "\n## What was tested\n"
    yield "| hypervisor | product | acceleration | cases passed | failed | skipped | took |"
    yield "|---|---|---|--:|--:|--:|--:|"
    for name, each in zip(found.columns, found.hypervisors, strict=True):
        cases, host = counts(each), each.host
        product = f"{host.product} {host.version}" if host else "not known"
        cells = (
            name,
            product,
            host.acceleration if host else "-",
            str(cases.passed),
            str(cases.failed),
            str(cases.skipped),
            span(each.seconds),
        )
        yield f"| {' | '.join(map(_escaped, cells))} |"
    for name, each in zip(found.columns, found.hypervisors, strict=True):
        if each.problem:
            yield f"\n**{_escaped(name)}**: {_escaped(each.problem)}."


def _table(found: Matrix, notes: _Notes) -> Iterator[str]:
    yield "\n## Capabilities\n"
    yield f"| requirement | {' | '.join(map(_escaped, found.columns))} |"
    yield f"|---|{'---|' * len(found.columns)}"
    for row in found.rows:
        cells = [_cell(cell, notes) for cell in row.cells]
        yield f"| `{row.requirement}`<br>{_escaped(row.sentence)} | {' | '.join(cells)} |"


def _cell(cell: Cell, notes: _Notes) -> str:
    word = f"**{cell.mark.value}**" if cell.mark is Mark.FAILING else cell.mark.value
    numbers = ", ".join(str(notes.number(note)) for note in cell.notes)
    return f"{word} <sup>{numbers}</sup>" if numbers else word


def _benchmarks(found: Matrix) -> Iterator[str]:
    measured = [
        (name, each)
        for name, each in zip(found.columns, found.hypervisors, strict=True)
        if each.samples
    ]
    if not measured:
        return
    yield "\n## How long operations took\n"
    yield f"On the machine of that run. Expected ranges: {SOURCE}.\n"
    yield "| hypervisor | operation | samples | median | p95 | expected | |"
    yield "|---|---|--:|--:|--:|--:|---|"
    for name, each in measured:
        yield from _timings(name, each)


def _timings(name: str, hypervisor: HypervisorResult) -> Iterator[str]:
    for each in figures(hypervisor.samples):
        usual = expected(hypervisor.driver, each.operation)
        yield (
            f"| {_escaped(name)} | {each.operation} | {each.count} | {span(each.median)} "
            f"| {span(each.p95)} | {usual or ''} | {usual.verdict(each.median) if usual else ''} |"
        )


def _escaped(text: str) -> str:
    """Nothing of it may become markup or break the table."""
    text = printable(text.replace("\n", " "))
    for character, instead in (
        ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("*", "\\*"), ("_", "\\_"),
        ("`", "'"), ("[", "\\["),
    ):  # fmt: skip
        text = text.replace(character, instead)
    return text
