"""``python -m bench.daemon api``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.daemon.api import measure
from bench.measure import BenchError


@click.group()
def main() -> None:
    """Measure the daemon."""


@main.command()
@click.option("--seconds", default=5.0, show_default=True, help="For each load.")
@click.option("--jobs", default=100_000, show_default=True, help="Finished ones in the database.")
def api(seconds: float, jobs: int) -> None:
    """Load the API of a daemon on SQLite."""
    with tempfile.TemporaryDirectory(prefix="hypersdk-bench-") as folder:
        try:
            found = measure(Path(folder), seconds=seconds, finished=jobs)
        except BenchError as error:
            raise click.ClickException(str(error)) from error
    table = Table("what", "measured", "unit", "wanted")
    for each in found:
        table.add_row(each.name, f"{each.value:.2f}", each.unit, each.wanted)
    Console().print(table)


main(prog_name="bench daemon")
