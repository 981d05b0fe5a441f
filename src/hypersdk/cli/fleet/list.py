"""``hypersdk fleet list``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from hypersdk import FleetInstance, InstanceFilter, fleet_inventory
from hypersdk.cli import words
from hypersdk.cli.command import Command
from hypersdk.cli.fleet import documents
from hypersdk.cli.fleet.options import (
    filter_of,
    filter_options,
    fleet_option,
    open_fleet,
)
from hypersdk.cli.fleet.outcome import raise_failures
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Terminal

COLUMNS = (
    *left("HYPERVISOR", "INSTANCE", "STATE"),
    Column("VCPUS", right=True),
    Column("MEMORY", right=True),
    *left("OWNED", "FOLDER"),
    Column("IMAGE", fold=True),
    Column("TAGS", fold=True),
)


@dataclass(frozen=True, slots=True)
class Options:
    hypervisors: tuple[str, ...]
    wanted: InstanceFilter


@click.command("list", cls=Command)
@fleet_option
@filter_options
@click.pass_obj
def list_(terminal: Terminal, /, **given: Any) -> None:
    """List the instances of all hypervisors.

    One that cannot be asked is named at the end, and the status is 3; the others are listed.
    """
    run(terminal, Options(given["hypervisors"], filter_of(given)))


def run(terminal: Terminal, options: Options) -> None:
    with open_fleet(terminal, options.hypervisors) as fleet, cancelling(terminal) as cancel:
        inventory = fleet_inventory(fleet, options.wanted, cancel=cancel)
        members = len(fleet.names)
    terminal.result({"instances": [documents.instance(each) for each in inventory.instances]})
    if inventory.instances:
        table = Table(COLUMNS)
        for each in inventory.instances:
            table.add(*row(each))
        terminal.table(table)
    elif len(inventory.failures) < members:
        terminal.note("No instances.")
    raise_failures(inventory.failures, members, "hypervisor")


def row(found: FleetInstance) -> tuple[str, ...]:
    """Cells of `COLUMNS`."""
    seen = found.instance
    return (
        found.hypervisor,
        seen.name,
        seen.state.value,
        str(seen.vcpus or "-"),  # 0: no limit, or not known without looking at it
        words.size(seen.memory) if seen.memory else "-",
        "yes" if seen.owned else "",
        seen.folder,
        seen.image,
        ", ".join(f"{tag}={value}" for tag, value in seen.tags.items()),
    )
