"""``hypersdk conform trend``"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hypersdk.cli import words
from hypersdk.cli.command import Command
from hypersdk.cli.conform.files import history
from hypersdk.cli.parameters import PATH
from hypersdk.cli.tables import Column, Table, left, right
from hypersdk.cli.terminal import Terminal
from hypersdk.conformance import history as past
from hypersdk.conformance.reports.document import plain

#: A median that moved by less is not worth a word.
WORTH = 0.1


@dataclass(frozen=True, slots=True)
class Options:
    history: Path
    last: int


@click.command("trend", cls=Command)
@click.argument("history", type=PATH)
@click.option("--last", type=click.IntRange(1), default=10, show_default=True, help="Runs to show.")
@click.pass_obj
def trend(terminal: Terminal, /, **given: Any) -> None:
    """Show how results changed from run to run.

    HISTORY is the file that runs add to, or the folder of their reports.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    steps = past.trend(past.read(history(options.history)))
    shown = {name: each[-options.last :] for name, each in steps.items()}
    terminal.result({"hypervisors": {name: plain(each) for name, each in shown.items()}})
    for name, each in shown.items():
        terminal.line(name, style="bold")
        table = Table(
            (
                *left("RUN"),
                *right("PASSED", "FAILED", "SKIPPED"),
                Column("NEWLY FAILING", fold=True),
                Column("MENDED", fold=True),
                Column("MEDIANS", fold=True),
            )
        )
        for step in each:
            table.add(*_row(step))
        terminal.table(table)
        terminal.line()


def _row(step: past.Step) -> tuple[str, ...]:
    moved = [
        f"{operation} {ratio - 1:+.0%}"
        for operation, ratio in step.ratios.items()
        if abs(ratio - 1) >= WORTH
    ]
    return (
        words.moment(step.began),
        str(step.now.passed),
        str(step.now.failed),
        str(step.now.skipped),
        ", ".join(step.broken) + (f" ({step.now.problem})" if step.now.problem else ""),
        ", ".join(step.mended),
        ", ".join(moved),
    )
