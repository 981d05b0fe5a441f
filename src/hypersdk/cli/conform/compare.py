"""``hypersdk conform compare``"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hypersdk.cli.command import Command
from hypersdk.cli.conform.files import results
from hypersdk.cli.parameters import PATH
from hypersdk.cli.tables import Column, Table, left, right
from hypersdk.cli.terminal import Terminal
from hypersdk.conformance import comparison
from hypersdk.conformance.reports.words import span
from hypersdk.conformance.results import CaseResult

#: For a case that one of the runs does not have.
ABSENT = "not run"


@dataclass(frozen=True, slots=True)
class Options:
    before: Path
    after: Path


@click.command("compare", cls=Command)
@click.argument("before", type=PATH)
@click.argument("after", type=PATH)
@click.pass_obj
def compare(terminal: Terminal, /, **given: Any) -> None:
    """Show what differs between two runs.

    BEFORE and AFTER are files of results, or folders of reports.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    found = comparison.compare(results(options.before), results(options.after))
    terminal.result(
        {
            "changes": [_change(each) for each in found.changes],
            "timings": [_timing(each) for each in found.timings],
            "only_before": list(found.only_before),
            "only_after": list(found.only_after),
        }
    )
    for name in found.only_before:
        terminal.line(f"{name}: only in {options.before}")
    for name in found.only_after:
        terminal.line(f"{name}: only in {options.after}")
    table = Table((*left("HYPERVISOR", "CASE", "BEFORE", "AFTER"), Column("WHY", fold=True)))
    for each in found.changes:
        why = each.after.reason.partition("\n")[0] if each.after else ""
        table.add(each.hypervisor, each.case, _word(each.before), _word(each.after), why)
    if found.changes:
        terminal.table(table)
    else:
        terminal.line("Every case ended as before.")
    if found.timings:
        terminal.line()
        terminal.table(_timings(found.timings))


def _timings(timings: tuple[comparison.Timing, ...]) -> Table:
    table = Table((*left("HYPERVISOR", "OPERATION"), *right("BEFORE", "AFTER"), *left("")))
    for each in timings:
        table.add(
            each.hypervisor,
            each.operation,
            span(each.before),
            span(each.after),
            "slower" if each.regression else "",
        )
    return table


def _word(result: CaseResult | None) -> str:
    return result.verdict.value if result else ABSENT


def _change(each: comparison.Change) -> dict[str, object]:
    return {
        "hypervisor": each.hypervisor,
        "case": each.case,
        "before": each.before.verdict.value if each.before else None,
        "after": each.after.verdict.value if each.after else None,
        "reason": each.after.reason if each.after else "",
    }


def _timing(each: comparison.Timing) -> dict[str, object]:
    return {
        "hypervisor": each.hypervisor,
        "operation": each.operation,
        "before": each.before,
        "after": each.after,
        "regression": each.regression,
    }
