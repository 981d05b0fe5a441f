"""``python -m bench.daemon``: the daemon's figures, printed and put on the page."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench import report
from bench.daemon import api, busy, jobs
from bench.daemon.figures import Figure
from bench.measure import ROOT, BenchError
from bench.results import Daemon, load, save

PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "docs" / "benchmarks.json"


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="For each load.")
@click.option("--quick", is_flag=True, help="Small counts, and nothing is written.")
def main(seconds: float, quick: bool) -> None:
    """Measure the daemon on SQLite: its API, its jobs, and its API while jobs run."""
    found: list[Figure] = []
    try:
        found += jobs.named(_jobs(quick))
        with tempfile.TemporaryDirectory(prefix="hypersdk-bench-") as folder:
            count = 1000 if quick else 100_000
            found += api.measure(Path(folder), seconds=seconds, finished=count)
        with tempfile.TemporaryDirectory(prefix="hypersdk-bench-") as folder:
            found += busy.measure(Path(folder), seconds)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    table = Table("what", "measured", "bar", "met")
    for each in found:
        table.add_row(each.name, each.text, each.wanted, each.verdict)
    Console().print(table)
    if not quick:
        time = datetime.now(UTC).isoformat(timespec="seconds")
        results = load(RESULTS).with_daemon(Daemon(time, tuple(found)))
        save(results, RESULTS)
        PAGE.write_text(report.page(results))


def _jobs(quick: bool) -> jobs.Figures:
    """In a process of its own: its memory is one of the figures."""
    counts = ["1000", "100", "20000"] if quick else []
    command = [sys.executable, "-m", "bench.daemon.jobs", *counts]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        raise BenchError(f"the jobs were not measured: {done.stderr.strip()[-500:]}")
    return jobs.Figures(**json.loads(done.stdout))


main(prog_name="scripts/bench daemon")
