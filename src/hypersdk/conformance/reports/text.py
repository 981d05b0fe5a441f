"""A run in plain text: for a terminal without width, a mail, a log."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from hypersdk.conformance.expectations import expected
from hypersdk.conformance.figures import Regression, figures
from hypersdk.conformance.reports.words import count, printable, span
from hypersdk.conformance.results import CaseResult, HypervisorResult, Run, Verdict
from hypersdk.conformance.summary import counts, names, total, verdict

_INDENT = "    "


def text(run: Run, regressions: Sequence[Regression] = ()) -> str:
    """Ends with the verdict."""
    number = count(len(run.hypervisors), "hypervisor")
    lines = [f"Conformance of {number}, {run.began:%Y-%m-%d %H:%M} UTC, run {run.id}", ""]
    for name, each in zip(names(run), run.hypervisors, strict=True):
        lines += [*_hypervisor(name, each), ""]
    lines += [_regression(each) for each in regressions]
    found = total(run)
    lines.append(f"{found}; {verdict(run)}, in {span(run.seconds)}.")
    return "\n".join(printable(line) for line in lines) + "\n"


def _hypervisor(name: str, hypervisor: HypervisorResult) -> Iterator[str]:
    host = hypervisor.host
    product = f", {host.product} {host.version}" if host else ""
    yield f"{name}  {hypervisor.url}{product}"
    yield f"{_INDENT}{counts(hypervisor)}, in {span(hypervisor.seconds)}"
    if hypervisor.problem:
        yield from _wrapped(f"PROBLEM: {hypervisor.problem}", _INDENT)
    for case in hypervisor.cases:
        if case.verdict is Verdict.FAILED:
            yield from _failed(case)
    yield from _skipped(hypervisor)
    yield from _measured(hypervisor)


def _failed(case: CaseResult) -> Iterator[str]:
    yield f"{_INDENT}FAILED {case.case}  ({span(case.seconds)})"
    yield from _wrapped(case.title, _INDENT * 2)
    for line in case.reason.splitlines():
        yield from _wrapped(line, _INDENT * 2)
    for leak in case.leaks:
        yield f"{_INDENT * 2}left behind: {leak}"


def _skipped(hypervisor: HypervisorResult) -> Iterator[str]:
    """By reason: a hundred cases have a handful of them."""
    reasons: dict[str, list[str]] = {}
    for case in hypervisor.cases:
        if case.verdict is Verdict.SKIPPED:
            reasons.setdefault(case.reason.partition("\n")[0], []).append(case.case)
    for reason, cases in reasons.items():
        yield from _wrapped(f"skipped {len(cases)}: {reason}", _INDENT)


def _measured(hypervisor: HypervisorResult) -> Iterator[str]:
    found = figures(hypervisor.samples)
    if not found:
        return
    yield f"{_INDENT}{'':18}{'n':>5}{'median':>10}{'p95':>10}{'p99':>10}{'max':>10}  expected"
    for each in found:
        usual = expected(hypervisor.driver, each.operation)
        beside = f"{usual}, {usual.verdict(each.median)}" if usual else "-"
        yield (
            f"{_INDENT}{each.operation:18}{each.count:>5}{span(each.median):>10}"
            f"{span(each.p95):>10}{span(each.p99):>10}{span(each.maximum):>10}  {beside}"
        )


def _regression(each: Regression) -> str:
    return (
        f"SLOWER {each.hypervisor} {each.operation}: {span(each.before.median)} before, "
        f"{span(each.now.median)} now (+{each.share:.0%})"
    )


def _wrapped(line: str, indent: str) -> list[str]:
    return textwrap.wrap(
        line, 100, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )
