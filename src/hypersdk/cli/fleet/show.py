"""``hypersdk fleet show``"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from hypersdk import (
    Conflict,
    FleetInstance,
    Hypervisor,
    InstanceFilter,
    Snapshot,
    fleet_inventory,
    members_named,
    select_instances,
)
from hypersdk.cli import words
from hypersdk.cli.command import Command
from hypersdk.cli.fleet import documents
from hypersdk.cli.fleet.options import fleet_option, open_fleet
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    hypervisors: tuple[str, ...]
    name: str


@click.command("show", cls=Command)
@fleet_option
@click.argument("name", metavar="INSTANCE")
@click.pass_obj
def show(terminal: Terminal, /, **given: Any) -> None:
    """Show one instance: its disks, tags and snapshots."""
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    with open_fleet(terminal, options.hypervisors) as fleet, cancelling(terminal) as cancel:
        wanted = InstanceFilter(hypervisors=members_named(fleet.names, [options.name]))
        inventory = fleet_inventory(fleet, wanted, cancel=cancel)
        found = select_instances(inventory, [options.name])
        if len(found) > 1:
            raise Conflict(
                f"'{options.name}' matches {words.count(len(found), 'instance')}",
                hint="Write one of them: " + ", ".join(each.label for each in found[:5]),
            )
        with cancel.scope():
            hypervisor = fleet.hypervisor(found[0].hypervisor)
            snapshots = _snapshots(hypervisor, found[0])
        url = fleet.urls[found[0].hypervisor]
    _tell(terminal, found[0], url, snapshots)


def _snapshots(hypervisor: Hypervisor, found: FleetInstance) -> Sequence[Snapshot]:
    if hypervisor.snapshots is None:
        return ()
    return hypervisor.snapshots.snapshots(found.instance.id)


def _tell(
    terminal: Terminal, found: FleetInstance, url: str, snapshots: Sequence[Snapshot]
) -> None:
    terminal.result(
        {
            "url": url,
            "instance": documents.instance(found),
            "snapshots": [documents.snapshot(each) for each in snapshots],
        }
    )
    seen = found.instance
    tags = ", ".join(f"{tag}={value}" for tag, value in seen.tags.items())
    for name, value in (
        ("instance", seen.name),
        ("id", seen.id),
        ("hypervisor", f"{found.hypervisor} ({url})" if url != found.hypervisor else url),
        ("state", seen.state.value),
        ("vcpus", str(seen.vcpus)),
        ("memory", words.size(seen.memory)),
        ("owned", "yes" if seen.owned else "no"),
        ("folder", seen.folder),
        ("image", seen.image),
        ("tags", tags),
    ):
        if value:
            terminal.line(f"{name + ':':<12}{value}")
    _tables(terminal, found, snapshots)


def _tables(terminal: Terminal, found: FleetInstance, snapshots: Sequence[Snapshot]) -> None:
    if found.instance.disks:
        disks = Table((*left("DISK"), Column("SIZE", right=True), *left("FORMAT", "PATH")))
        for disk in found.instance.disks:
            disks.add(disk.name, words.size(disk.size), disk.format, disk.path)
        terminal.line()
        terminal.table(disks)
    if snapshots:
        table = Table(left("SNAPSHOT", "CREATED", "STATE", "PARENT", "NOTES"))
        for each in snapshots:
            notes = [*(["current"] if each.current else []), *(["memory"] if each.memory else [])]
            if each.description:
                notes.append(each.description)
            table.add(
                each.name,
                words.moment(each.created),
                each.state.value,
                each.parent,
                ", ".join(notes),
            )
        terminal.line()
        terminal.table(table)
