"""``hypersdk doctor``"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from hypersdk import MissingRequirement
from hypersdk.cli.checks import Check, State, examine
from hypersdk.cli.command import Command
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Terminal


@click.command("doctor", cls=Command)
@click.pass_obj
def doctor(terminal: Terminal, /, **given: Any) -> None:  # noqa: ARG001 - it takes no options
    """Check what is installed and works.

    Says what each missing thing would give, and the command that installs it. Ends with 4 when
    something that every backup needs is missing.
    """
    run(terminal)


def run(terminal: Terminal) -> None:
    checks = examine(terminal)
    terminal.result({"checks": [{**asdict(each), "state": each.state.value} for each in checks]})
    _show(terminal, checks)
    broken = [each.name for each in checks if each.needed and each.state is not State.WORKS]
    if broken:
        raise MissingRequirement(
            f"needed and not working: {', '.join(broken)}",
            hint="The table says how to install each.",
        )


def _show(terminal: Terminal, checks: list[Check]) -> None:
    table = Table(
        (*left("WHAT", "STATE"), Column("FOUND", fold=True), Column("GIVES", fold=True)),
        [(each.name, each.state.value, each.found, each.gives) for each in checks],
    )
    terminal.table(table)
    lacking = [each for each in checks if each.state is not State.WORKS]
    if not lacking:
        terminal.line("Everything works.")
        return
    terminal.line()
    for each in lacking:
        terminal.line(f"{each.name}: {'needed' if each.needed else 'optional'}; {each.install}")
