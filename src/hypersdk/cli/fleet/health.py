"""``hypersdk fleet health``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from hypersdk import BreakerState, HypervisorHealth, fleet_health
from hypersdk.cli import words
from hypersdk.cli.command import Command
from hypersdk.cli.fleet import documents
from hypersdk.cli.fleet.options import fleet_option, open_fleet
from hypersdk.cli.fleet.outcome import raise_failures
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.tables import Column, Table, left, right
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    hypervisors: tuple[str, ...]


@click.command("health", cls=Command)
@fleet_option
@click.pass_obj
def health(terminal: Terminal, /, **given: Any) -> None:
    """Ask each hypervisor how it is: reachable, how quick, how much room.

    The status is 0 when all answer, 3 when some do not.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    with (
        open_fleet(terminal, options.hypervisors, patient=False) as fleet,
        cancelling(terminal) as cancel,
    ):
        found = fleet_health(fleet, cancel=cancel)
    terminal.result({"hypervisors": [documents.health(each) for each in found]})
    table = Table(
        (
            *left("HYPERVISOR", "HEALTH"),
            *right("LATENCY"),
            Column("PRODUCT"),
            *right("ACTIVE", "VCPUS", "MEMORY LEFT", "STORAGE LEFT"),
        )
    )
    for each in found:
        table.add(each.hypervisor, _word(each), *_figures(each))
    terminal.table(table)
    failures = {each.hypervisor: each.error for each in found if each.error is not None}
    raise_failures(failures, len(found), "hypervisor")


def _word(record: HypervisorHealth) -> str:
    if record.breaker.state is not BreakerState.CLOSED:
        return f"left alone for {words.duration(record.breaker.retry_in)}"
    return "well" if record.reachable else "unreachable"


def _figures(record: HypervisorHealth) -> tuple[str, ...]:
    latency = f"{record.latency * 1000:.1f} ms" if record.latency is not None else ""
    host = record.host
    if host is None:
        return latency, "", "", "", "", ""
    storage = words.size(host.storage_available) if host.storage_available is not None else ""
    return (
        latency,
        f"{host.product} {host.version}",
        str(host.active_instances),
        str(host.vcpus),
        f"{words.size(host.memory_available)} of {words.size(host.memory)}",
        storage,
    )
