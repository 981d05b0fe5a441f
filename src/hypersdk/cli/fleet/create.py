"""``hypersdk fleet create``"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hypersdk import (
    InstanceSpec,
    InvalidInput,
    PlacedInstance,
    PlacementDecision,
    PlacementPolicy,
    PlacementRules,
    create_instance,
    load_spec,
    place_instance,
)
from hypersdk.cli import words
from hypersdk.cli.command import Command
from hypersdk.cli.failures import describe
from hypersdk.cli.fleet import documents
from hypersdk.cli.fleet.options import fleet_option, open_fleet
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.parameters import PATH, Parsed, Words
from hypersdk.cli.tables import Column, Table, left, right
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    hypervisors: tuple[str, ...]
    spec: InstanceSpec
    rules: PlacementRules
    start: bool
    fallback: bool
    dry_run: bool


def parse_change(text: str) -> tuple[str, str]:
    """``field=value``."""
    field, equals, value = text.partition("=")
    if not equals or not field:
        raise InvalidInput(f"'{text}' changes nothing", hint="Write it like --set vcpus=4")
    return field, value


_CHANGE = Parsed("FIELD=VALUE", parse_change)


@click.command("create", cls=Command)
@fleet_option
@click.option("--spec", type=PATH, metavar="FILE", help="What it shall be: YAML, JSON or TOML.")
@click.option(
    "--set",
    "changes",
    type=_CHANGE,
    multiple=True,
    help="A field of the spec, over what the file says: vcpus=4, disks[0].size=20GiB.",
)
@click.option(
    "--policy",
    type=Words([policy.value for policy in PlacementPolicy]),
    default=PlacementPolicy.MOST_ROOM.value,
    show_default=True,
    help="Which hypervisor of those that can take it.",
)
@click.option(
    "--require",
    "requires",
    metavar="PART",
    multiple=True,
    help="Only hypervisors that have this part or aspect: snapshots, snapshots.memory.",
)
@click.option("--thin", is_flag=True, help="Its disks need no room before they fill.")
@click.option("--start", is_flag=True, help="Start it when it is made.")
@click.option("--no-fallback", is_flag=True, help="When the chosen hypervisor fails, give up.")
@click.option("--dry-run", is_flag=True, help="Make nothing; show the decision and its reasons.")
@click.pass_obj
def create(
    terminal: Terminal,
    /,
    spec: Path | None,
    changes: tuple[tuple[str, str], ...],
    policy: str,
    requires: tuple[str, ...],
    thin: bool,
    no_fallback: bool,
    **given: Any,
) -> None:
    """Make an instance on the hypervisor that fits best, on another one when that fails."""
    if spec is None and not changes:
        raise InvalidInput(
            "nothing says what the instance shall be",
            hint="Give --spec FILE, or --set name=NAME and other fields.",
        )
    rules = PlacementRules(policy=PlacementPolicy(policy), requires=requires, thin=thin)
    wanted = load_spec({} if spec is None else spec, changes)
    run(terminal, Options(spec=wanted, rules=rules, fallback=not no_fallback, **given))


def run(terminal: Terminal, options: Options) -> None:
    with open_fleet(terminal, options.hypervisors) as fleet, cancelling(terminal) as cancel:
        if options.dry_run:
            decision = place_instance(fleet, options.spec, options.rules, cancel=cancel)
            _show_decision(terminal, decision)
            return
        made = create_instance(
            fleet,
            options.spec,
            options.rules,
            start=options.start,
            fallback=options.fallback,
            cancel=cancel,
        )
    _show_made(terminal, made)


def _show_decision(terminal: Terminal, decision: PlacementDecision) -> None:
    chosen = decision.accepted[0].hypervisor if decision.accepted else None
    terminal.result(
        {
            "dry_run": True,
            "needs": list(decision.needs),
            "chosen": chosen,
            "candidates": [documents.candidate(each) for each in decision.candidates],
        }
    )
    table = Table(
        (
            *left("HYPERVISOR", "DECISION"),
            *right("INSTANCES", "MEMORY LEFT", "STORAGE LEFT"),
            Column("WHY NOT", fold=True),
        )
    )
    for number, each in enumerate(decision.candidates):
        rank = "chosen" if number == 0 else "possible"
        memory = words.size(each.host.memory_available) if each.host is not None else ""
        storage = each.host.storage_available if each.host is not None else None
        table.add(
            each.hypervisor,
            rank if each.accepted else "rejected",
            "" if each.error is not None else str(each.instances),
            memory,
            words.size(storage) if storage is not None else "",
            "; ".join(each.reasons),
        )
    terminal.table(table)
    decision.require()
    terminal.line(f"Would make '{decision.name}' on {chosen}.")


def _show_made(terminal: Terminal, made: PlacedInstance) -> None:
    terminal.result(
        {
            "dry_run": False,
            "instance": documents.instance(made.placed),
            "failed": [
                {"hypervisor": each.hypervisor, "error": describe(each.error), "left": each.left}
                for each in made.failed
            ],
        }
    )
    for each in made.failed:
        terminal.complain(f"{each.hypervisor} failed: {each.error.message}")
        if each.left:
            terminal.complain(f"  left there: {each.left}")
    seen = made.placed.instance
    terminal.line(
        f"Made '{seen.name}' on {made.placed.hypervisor}: {seen.state.value}, id {seen.id}."
    )
