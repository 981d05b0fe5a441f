"""``hypersdk conform matrix``"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hypersdk.cli.command import Command
from hypersdk.cli.conform.files import results
from hypersdk.cli.parameters import PATH
from hypersdk.cli.terminal import Terminal
from hypersdk.conformance import matrix as made
from hypersdk.conformance.reports.page import page


@dataclass(frozen=True, slots=True)
class Options:
    results: tuple[Path, ...]
    write: Path | None


@click.command("matrix", cls=Command)
@click.argument("results", type=PATH, nargs=-1, required=True)
@click.option("--write", type=PATH, metavar="FILE", help="Write the page there.")
@click.pass_obj
def matrix(terminal: Terminal, /, **given: Any) -> None:
    """Make the page that says what each hypervisor can do.

    RESULTS are files of results, or folders of reports; of a hypervisor that occurs in several,
    the latest counts. The page is Markdown, and is made of what cases found, of nothing else.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    runs = [results(path) for path in options.results]
    found = made.matrix(runs)
    terminal.result(
        {
            "hypervisors": list(found.columns),
            "requirements": [
                {
                    "requirement": row.requirement,
                    "sentence": row.sentence,
                    "cells": {
                        name: {"mark": cell.mark.value, "notes": list(cell.notes)}
                        for name, cell in zip(found.columns, row.cells, strict=True)
                    },
                }
                for row in found.rows
            ],
            "written": str(options.write) if options.write else None,
        }
    )
    text = page(runs)
    if options.write:
        options.write.write_text(text, encoding="utf-8")
        terminal.line(f"Written: {options.write}")
        return
    for line in text.splitlines():
        terminal.line(line)
