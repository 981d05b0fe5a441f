"""What the commands for many instances share: find them, do it, tell what became of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from hypersdk import (
    Action,
    BatchOptions,
    BatchResult,
    CancelToken,
    Ending,
    Fleet,
    FleetInstance,
    FleetInventory,
    HyperSDKError,
    Interrupted,
    PartialFailure,
    fleet_inventory,
    members_named,
    run_batch,
    select_instances,
)
from hypersdk.cli import words
from hypersdk.cli.fleet import documents
from hypersdk.cli.fleet.options import (
    Selection,
    fleet_option,
    open_fleet,
    selection_of,
    selection_options,
)
from hypersdk.cli.fleet.outcome import raise_failures
from hypersdk.cli.fleet.progress import counting
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Terminal

_DONE = {
    Action.START: "started",
    Action.STOP: "stopped",
    Action.PAUSE: "paused",
    Action.RESUME: "resumed",
    Action.SNAPSHOT: "snapshot made of",
    Action.DELETE: "deleted",
}


@dataclass(frozen=True, slots=True)
class Options:
    hypervisors: tuple[str, ...]
    selection: Selection
    action: Action
    batch: BatchOptions


#: May refuse to go on, with the instances that were chosen.
Confirm = Callable[[Sequence[FleetInstance]], None]


def batch_options(function: Any) -> Any:
    """Names, filters, hypervisors, parallelism; `options_of` reads them."""
    function = click.option(
        "--parallel-each",
        type=click.IntRange(min=1),
        metavar="N",
        default=4,
        show_default=True,
        help="At most N at once on one hypervisor.",
    )(function)
    function = click.option(
        "--parallel",
        type=click.IntRange(min=1),
        metavar="N",
        default=16,
        show_default=True,
        help="At most N instances at once.",
    )(function)
    return fleet_option(selection_options(function))


def options_of(action: Action, given: dict[str, Any], batch: BatchOptions | None = None) -> Options:
    """From the values of `batch_options`."""
    batch = replace(
        batch or BatchOptions(), workers=given["parallel"], per_hypervisor=given["parallel_each"]
    )
    return Options(given["hypervisors"], selection_of(given), action, batch)


def run(terminal: Terminal, options: Options, confirm: Confirm = lambda _: None) -> None:
    options.selection.check()
    with open_fleet(terminal, options.hypervisors) as fleet, cancelling(terminal) as cancel:
        named = members_named(fleet.names, options.selection.names)
        wanted = replace(options.selection.wanted, hypervisors=named)
        inventory = fleet_inventory(fleet, wanted, cancel=cancel)
        targets = _targets(inventory, options.selection)
        confirm(targets)
        results = _run(terminal, fleet, targets, options, cancel)
    _tell(terminal, options.action, results)
    if options.selection.names:  # they were found; what could not be asked does not matter
        for name, error in inventory.failures.items():
            terminal.note(f"{name} was not asked: {error.message}")
    _raise(results, {} if options.selection.names else inventory.failures)


def _targets(inventory: FleetInventory, selection: Selection) -> tuple[FleetInstance, ...]:
    if not selection.names:
        return inventory.instances
    return select_instances(inventory, selection.names, everywhere=selection.everywhere)


def _run(
    terminal: Terminal,
    fleet: Fleet,
    targets: Sequence[FleetInstance],
    options: Options,
    cancel: CancelToken,
) -> tuple[BatchResult, ...]:
    with counting(terminal, options.action.value, len(targets)) as watcher:
        return run_batch(
            fleet,
            targets,
            options.action,
            options=options.batch,
            watcher=watcher,
            cancel=cancel,
        )


def _tell(terminal: Terminal, action: Action, results: Sequence[BatchResult]) -> None:
    terminal.result(
        {"action": action.value, "results": [documents.result(each) for each in results]}
    )
    if not results:
        terminal.note("No instance matches.")
        return
    table = Table((*left("HYPERVISOR", "INSTANCE", "RESULT"), *right("SECONDS")))
    for each in results:
        table.add(
            each.target.hypervisor,
            each.target.instance.name,
            each.ending.value,
            f"{each.seconds:.1f}",
        )
    terminal.table(table)
    count = {ending: sum(each.ending is ending for each in results) for ending in Ending}
    said = [f"{_DONE[action]} {words.count(count[Ending.SUCCEEDED], 'instance')}"]
    said += [
        f"{count[ending]} {ending.value}"
        for ending in (Ending.UNCHANGED, Ending.FAILED)
        if count[ending]
    ]
    text = ", ".join(said)
    terminal.line(f"{text[:1].upper()}{text[1:]}.")


def _raise(results: Sequence[BatchResult], unasked: Mapping[str, HyperSDKError]) -> None:
    """``unasked``: hypervisors whose instances may have been meant as well."""
    failures = _failures(results)
    if any(isinstance(error, Interrupted) for error in failures.values()):
        raise _interrupted(results)
    if unasked:
        said = [f"{words.count(len(unasked), 'hypervisor')} could not be asked"]
        if failures:
            said.append(f"{len(failures)} of {words.count(len(results), 'instance')} failed")
        raise PartialFailure(" and ".join(said), {**unasked, **failures})
    raise_failures(failures, len(results), "instance")


def _failures(results: Sequence[BatchResult]) -> dict[str, HyperSDKError]:
    """By label; by id as well where a hypervisor has two of one name."""
    failures: dict[str, HyperSDKError] = {}
    for each in results:
        if each.error is not None:
            label = each.target.label
            if label in failures:
                label = f"{label} ({each.target.instance.id})"
            failures[label] = each.error
    return failures


def _interrupted(results: Sequence[BatchResult]) -> Interrupted:
    left_over = sum(isinstance(each.error, Interrupted) for each in results)
    return Interrupted(
        f"interrupted: {left_over} of {words.count(len(results), 'instance')} "
        "were not done or not to their end",
        hint="The same command does what is left; what is done already is unchanged.",
    )
