"""``hypervisord config check`` and ``hypervisord config show``"""

from __future__ import annotations

from dataclasses import asdict

import click

from hypersdk.cli.hypervisord.command import Group, chosen, setting_options
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Terminal
from hypersdk.config.daemon.loading import written
from hypersdk.config.daemon.showing import rows, shown
from hypersdk.model.errors import InvalidInput


@click.group("config", cls=Group)
def config() -> None:
    """Look at the settings."""


@config.command("check")
@setting_options
@click.pass_obj
def check(terminal: Terminal) -> None:
    """Say everything that is wrong with the settings, at once.

    Ends with 2 when something is. Nothing is opened and nobody is asked; doctor does that.
    """
    examined = chosen().examine()
    where = str(examined.file) if examined.file else None
    problems = [asdict(each) for each in examined.problems]
    terminal.result({"file": where, "valid": not problems, "problems": problems})
    for each in examined.problems:
        terminal.line(str(each))
        if each.hint:
            terminal.line(f"  {each.hint}")
    if problems:
        number = f"{len(problems)} problem" + ("" if len(problems) == 1 else "s")
        raise InvalidInput(f"{number} in the settings")
    terminal.line(f"{where or 'the settings (there is no file)'}: nothing is wrong")


@config.command("show")
@setting_options
@click.pass_obj
def show(terminal: Terminal) -> None:
    """Show every setting in force and where it comes from, without secrets."""
    said = chosen()
    settings, examined = said.load(), said.examine()
    terminal.result(
        {
            "file": str(examined.file) if examined.file else None,
            "settings": shown(settings),
            "sources": {written(steps): place for steps, place in examined.sources.items()},
        }
    )
    table = Table((*left("SETTING"), Column("VALUE", fold=True), *left("FROM")))
    for name, value, source in rows(settings, examined.sources):
        table.add(name, value, source)
    terminal.table(table)
