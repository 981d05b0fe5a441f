"""``hypersdk conform run``"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from hypersdk import HyperSDKError, InvalidInput
from hypersdk.cli.command import Command
from hypersdk.cli.conform.files import HISTORY, named_or_mock, results
from hypersdk.cli.conform.progress import watching
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.parameters import DURATION, PATH
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Terminal
from hypersdk.conformance.case import Case, cases
from hypersdk.conformance.comparison import regressions
from hypersdk.conformance.figures import Regression
from hypersdk.conformance.history import Step, append, entry, read, trend
from hypersdk.conformance.registry import check_url
from hypersdk.conformance.reports.document import run_document
from hypersdk.conformance.reports.files import write_reports
from hypersdk.conformance.reports.html import check_jinja
from hypersdk.conformance.reports.text import text
from hypersdk.conformance.results import Run
from hypersdk.conformance.runner import Plan, run
from hypersdk.conformance.selection import matching
from hypersdk.conformance.site import load_site
from hypersdk.conformance.summary import failure
from hypersdk.conformance.target import Site


@dataclass(frozen=True, slots=True)
class Options:
    hypervisors: tuple[str, ...]
    suites: tuple[str, ...]
    patterns: tuple[str, ...]
    site: Path | None
    list_only: bool
    timeout: timedelta
    case_timeout: timedelta
    parallel: int
    bench: bool
    bench_only: bool
    samples: int
    warm_up: int
    crowd: int
    baseline: Path | None
    threshold: int
    fail_on_regression: bool
    report: Path | None
    history: Path | None


@click.command("run", cls=Command)
@click.option(
    "-H",
    "--hypervisor",
    "hypervisors",
    multiple=True,
    metavar="NAME|URL",
    help="What to test; may be repeated.  [default: the mock, in a temporary folder]",
)
@click.option(
    "--suite", "suites", multiple=True, metavar="NAME", help="Only this suite; repeatable."
)
@click.option(
    "--case", "patterns", multiple=True, metavar="GLOB", help="Only cases of such ids; repeatable."
)
@click.option("--site", type=PATH, metavar="FILE", help="What this place has to test with (YAML).")
@click.option("--list", "list_only", is_flag=True, help="List the cases that would run, and end.")
@click.option(
    "--timeout", type=DURATION, default="15m", show_default=True, help="For each hypervisor."
)
@click.option(
    "--case-timeout", type=DURATION, default="60s", show_default=True, help="For each case."
)
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Hypervisors at once.",
)
@click.option("--bench", is_flag=True, help="Measure how long operations take, after the cases.")
@click.option("--bench-only", is_flag=True, help="Measure only.")
@click.option(
    "--samples", type=click.IntRange(1), default=10, show_default=True, help="Rounds to measure."
)
@click.option(
    "--warm-up", type=click.IntRange(0), default=1, show_default=True, help="Rounds before them."
)
@click.option(
    "--crowd",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Measure N instances at once, too.",
)
@click.option("--baseline", type=PATH, metavar="FILE", help="Results to measure against.")
@click.option(
    "--threshold",
    type=click.IntRange(1),
    default=25,
    show_default=True,
    help="Per cent by which a median may be worse.",
)
@click.option("--fail-on-regression", is_flag=True, help="End with 1 when something got slower.")
@click.option("--report", type=PATH, metavar="DIR", help="Write JSON, JUnit, text and HTML there.")
@click.option(
    "--history", type=PATH, metavar="FILE", help=f"Add a line to it.  [default: DIR/{HISTORY}]"
)
@click.pass_obj
def run_(terminal: Terminal, /, **given: Any) -> None:
    """Test hypervisors, each in a process of its own.

    Instances are made, run, changed and removed there; those of others are left alone. Ends with 0
    when all cases passed or were skipped with a reason, with 1 when one failed or a hypervisor
    could not be tested in full, with 3 when nothing could run.
    """
    perform(terminal, Options(**given))


def perform(terminal: Terminal, options: Options) -> None:
    chosen = matching(cases(options.suites), options.patterns)
    if options.list_only:
        _list(terminal, chosen)
        return
    site = load_site(options.site) if options.site else Site()
    baseline = results(options.baseline) if options.baseline else None
    if options.fail_on_regression and not (baseline and (options.bench or options.bench_only)):
        raise InvalidInput("--fail-on-regression goes with --bench and --baseline FILE")
    if options.report:
        check_jinja()
    with named_or_mock(terminal, options.hypervisors) as urls:
        for url in urls:
            check_url(url)
        plan = _plan(options, urls, site)
        with cancelling(terminal) as cancel, watching(terminal) as watch, cancel.scope():
            found = run(plan, watch=watch)
    slower = regressions(found, baseline, threshold=options.threshold / 100) if baseline else ()
    _tell(terminal, found, slower)
    _keep(terminal, options, found, slower)
    _end(options, found, slower)


def _plan(options: Options, urls: tuple[str, ...], site: Site) -> Plan:
    return Plan(
        hypervisors=urls,
        site=site,
        suites=options.suites,
        cases=options.patterns,
        test=not options.bench_only,
        timeout=options.timeout.total_seconds(),
        case_timeout=options.case_timeout.total_seconds(),
        samples=options.samples if options.bench or options.bench_only else 0,
        warm_up=options.warm_up,
        crowd=options.crowd,
        parallel=options.parallel,
    )


def _list(terminal: Terminal, chosen: Sequence[Case]) -> None:
    members = ("id", "requirement", "suite", "title")
    terminal.result({"cases": [{name: getattr(c, name) for name in members} for c in chosen]})
    table = Table((*left("CASE", "REQUIREMENT"), Column("WHAT IT SAYS", fold=True)))
    for case in chosen:
        table.add(case.id, case.requirement, case.title)
    terminal.table(table)


def _tell(terminal: Terminal, found: Run, slower: Sequence[Regression]) -> None:
    terminal.result({"run": run_document(found), "regressions": [_regression(r) for r in slower]})
    for line in text(found, slower).splitlines():
        bad = line.strip().startswith(("FAILED", "PROBLEM", "SLOWER"))
        terminal.line(line, style="red" if bad else "")


def _keep(terminal: Terminal, options: Options, found: Run, slower: Sequence[Regression]) -> None:
    history = options.history or (options.report / HISTORY if options.report else None)
    steps: Mapping[str, Sequence[Step]] = {}
    if options.report:
        options.report.mkdir(parents=True, exist_ok=True)
    if history:
        append(history, entry(found))
        steps = trend(read(history))
    terminal.result({"history": str(history) if history else None, "reports": []})
    if options.report:
        written = write_reports(found, options.report, regressions=slower, trend=steps)
        terminal.result({"reports": [str(path) for path in written]})
        terminal.line()
        terminal.line(f"Reports: {', '.join(str(path) for path in written)}")


def _end(options: Options, found: Run, slower: Sequence[Regression]) -> None:
    error = failure(found)
    if error is not None:
        raise error
    if slower and options.fail_on_regression:
        raise HyperSDKError(
            f"{len(slower)} operations are slower than in {options.baseline}",
            hint="Measure again on a quiet machine; if it stays so, something got slower.",
        )


def _regression(each: Regression) -> dict[str, object]:
    return {
        "hypervisor": each.hypervisor,
        "operation": each.operation,
        "before": each.before.median,
        "now": each.now.median,
        "share": round(each.share, 4),
    }
