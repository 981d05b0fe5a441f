"""``hypervisord doctor``"""

from __future__ import annotations

from dataclasses import asdict

import click

from hypersdk.cli.hypervisord.command import Command, chosen, setting_options
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Terminal


@click.command("doctor", cls=Command)
@setting_options
@click.pass_context
def doctor(context: click.Context) -> None:
    """Try everything that the daemon needs: settings, database, folders, hypervisors, …

    Ends with 1 when something does not work, with 2 when the settings are wrong. Warnings do not
    count. The daemon may run meanwhile.
    """
    terminal = context.ensure_object(Terminal)
    from hypersdk.app.doctor import Verdict, examine  # noqa: PLC0415 - loads drivers

    findings = examine(chosen().load())
    bad = [each for each in findings if each.verdict is Verdict.BROKEN]
    terminal.result(
        {
            "healthy": not bad,
            "findings": [{**asdict(each), "verdict": each.verdict.value} for each in findings],
        }
    )
    table = Table((*left("WHAT", "STATE"), Column("FOUND", fold=True)))
    for each in findings:
        table.add(each.name, each.verdict.value, each.found)
    terminal.table(table)
    for each in findings:
        if each.hint:
            terminal.line(f"{each.name}: {each.hint}")
    context.exit(1 if bad else 0)
