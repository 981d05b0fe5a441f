"""``hypersdk conform chaos``"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hypersdk import HyperSDKError
from hypersdk.cli.command import Command
from hypersdk.cli.conform.files import named_or_mock
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.parameters import PATH
from hypersdk.cli.progress import LINE_EVERY
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Terminal
from hypersdk.conformance import chaos as kit
from hypersdk.conformance.registry import load_target
from hypersdk.conformance.reports.document import plain
from hypersdk.conformance.reports.words import count, span
from hypersdk.conformance.site import load_site
from hypersdk.conformance.target import Site

#: Seeds are small enough to be typed again.
_SEEDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Options:
    hypervisor: str | None
    minutes: float
    steps: int | None
    seed: int | None
    faults: bool
    site: Path | None


@click.command("chaos", cls=Command)
@click.option(
    "-H",
    "--hypervisor",
    metavar="NAME|URL",
    help="Where to do it.  [default: the mock, in a temporary folder]",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="How long.",
)
@click.option("--steps", type=click.IntRange(1), metavar="N", help="At most N steps.")
@click.option("--seed", type=int, metavar="S", help="Repeat the run of this seed.")
@click.option("--faults", is_flag=True, help="Cut connections and crash instances as well.")
@click.option("--site", type=PATH, metavar="FILE", help="What this place has to test with (YAML).")
@click.pass_obj
def chaos(terminal: Terminal, /, **given: Any) -> None:
    """Do random things to instances and check what must hold.

    The same seed does the same things in the same order. With --faults, errors that leave open
    whether a call had an effect are expected; what is observed afterwards decides. Instances of
    others are left alone.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    seed = options.seed if options.seed is not None else random.randrange(_SEEDS)  # noqa: S311
    site = load_site(options.site) if options.site else Site()
    urls = (options.hypervisor,) if options.hypervisor else ()
    with named_or_mock(terminal, urls) as (url,), cancelling(terminal) as cancel:
        terminal.note(f"Seed {seed}.")
        target = load_target(url, site)
        try:
            report = kit.chaos(
                target,
                seed=seed,
                seconds=options.minutes * 60,
                limit=options.steps,
                faults=options.faults,
                cancel=cancel,
                watch=_Now(terminal.note),
            )
        finally:
            target.close()
    _tell(terminal, report)
    cancel.check()
    if report.violations:
        raise HyperSDKError(
            f"{count(len(report.violations), 'violation')} on {report.url}",
            hint=f"Repeat it with --seed {seed} --steps {report.steps}"
            + (" --faults." if options.faults else "."),
        )


def _tell(terminal: Terminal, report: kit.ChaosReport) -> None:
    terminal.result(plain(report))
    table = Table((*left("ACT"), *right("DONE", "REFUSED", "UNCERTAIN", "PASSED OVER")))
    for act, outcomes in sorted(report.tally.items()):
        words = ("done", "refused", "uncertain", "passed over")
        table.add(act, *(str(outcomes.get(word, 0)) for word in words))
    terminal.table(table)
    for each in report.violations:
        where = f"step {each.step}, {each.act}" if each.step >= 0 else f"in the end, {each.act}"
        about = f" {each.instance}" if each.instance else ""
        terminal.line(f"VIOLATION {where}{about}: {each.problem}", style="red")
    verdict = count(len(report.violations), "violation") if report.violations else "all held"
    drifts = f", {count(report.drifts, 'drift')}" if report.drifts else ""
    terminal.line(
        f"Seed {report.seed}: {count(report.steps, 'step')} in {span(report.seconds)}{drifts}: "
        f"{verdict}."
    )


class _Now:
    """The last line of the journal, every `LINE_EVERY` seconds."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._due = 0.0

    def __call__(self, line: str) -> None:
        now = time.monotonic()
        if "VIOLATION" in line or (self._due and now >= self._due):
            self._write(line)
        if not self._due or now >= self._due:
            self._due = now + LINE_EVERY
