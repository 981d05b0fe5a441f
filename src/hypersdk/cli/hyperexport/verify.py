"""``hyperexport verify``: is an export still what it was?"""

from __future__ import annotations

from pathlib import Path

import click

from hypersdk import verify_export
from hypersdk.cli import words
from hypersdk.cli.command import Command
from hypersdk.cli.parameters import PATH
from hypersdk.cli.progress import watching
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Terminal


@click.command("verify", cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=PATH)
@click.pass_obj
def verify(terminal: Terminal, /, folder: Path) -> None:
    """Read all files of an export again and compare them with what is noted about them.

    \b
    hyperexport verify ./export-web

    Checksums, the manifest of an OVF or OVA, the artifact manifest, the grains of each VMDK.
    """
    run(terminal, folder)


def run(terminal: Terminal, folder: Path) -> None:
    with watching(terminal) as watch:
        found = verify_export(folder, reporter=watch)
    terminal.result(
        {"folder": str(found.folder), "files": dict(found.files), "checks": list(found.checks)}
    )
    if terminal.quiet:
        terminal.line(f"verified: {found.folder} ({words.size(sum(found.files.values()))})")
        return
    table = Table((*left("FILE"), *right("SIZE")))
    for name, size in found.files.items():
        table.add(name, words.size(size))
    terminal.table(table)
    for check in found.checks:
        terminal.line(f"  {check}")
    terminal.line(f"{found.folder}: {words.count(len(found.files), 'file')}, all as they were")
