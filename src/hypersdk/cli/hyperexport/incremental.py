"""``--incremental``: only what changed since the last time, into a repository."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hypersdk import (
    BackupOptions,
    Bandwidth,
    CancelToken,
    HyperSDKError,
    Hypervisor,
    Interrupted,
    InvalidInput,
    Repository,
    RestorePoint,
    backup_instance,
)
from hypersdk.cli import records, words
from hypersdk.cli.backup import COLUMNS, add_rows
from hypersdk.cli.hyperexport import listeners
from hypersdk.cli.hyperexport.connecting import chosen, connected
from hypersdk.cli.hyperexport.options.notices import Telling
from hypersdk.cli.hyperexport.options.repository import Increments
from hypersdk.cli.hyperexport.options.source import Source
from hypersdk.cli.hyperexport.outcomes import Journal, Outcome, Run
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.progress import Watch, watching
from hypersdk.cli.tables import Table
from hypersdk.cli.terminal import Terminal

FORMAT = "repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    source: Source
    increments: Increments
    exclude: frozenset[str]
    freeze: bool
    bandwidth: Bandwidth | None
    telling: Telling


def run(terminal: Terminal, options: Options) -> None:
    """One after another; what fails does not stop the others."""
    with opened(terminal, options.increments) as repository:
        points: list[RestorePoint] = []
        with connected(terminal, options.source) as hypervisor:
            names = chosen(hypervisor, options.source)
            described = Run(
                names=names, hypervisor=hypervisor.url, format=FORMAT, place=repository.url
            )
            journal = Journal(described, listeners.all_of(terminal, options.telling))
            with cancelling(terminal) as cancel, watching(terminal) as watch:
                for name in names:
                    began = time.monotonic()
                    try:
                        point = _one(options, repository, hypervisor, name, watch, cancel)
                    except HyperSDKError as error:
                        outcome = _failed(repository, name, error, time.monotonic() - began)
                        journal.settled(outcome)
                        if isinstance(error, Interrupted):
                            break
                    else:
                        points.append(point)
                        journal.settled(_done(repository, name, point, time.monotonic() - began))
        terminal.result({"points": [records.point(point) for point in points]})
        _show(terminal, repository, points)
    journal.ended()


def opened(terminal: Terminal, increments: Increments) -> Repository:
    """The repository that was named. Raises InvalidInput without one, KeyRequired."""
    location = increments.repo or terminal.settings.repository
    if not location:
        raise InvalidInput(
            "an incremental export goes to a repository, and none was named",
            hint="Name it: --repo REPO. To make one: hypersdk repo init REPO",
        )
    return increments.unlock.open(terminal, location)


def _one(
    options: Options,
    repository: Repository,
    hypervisor: Hypervisor,
    name: str,
    watch: Watch,
    cancel: CancelToken,
) -> RestorePoint:
    return backup_instance(
        repository,
        hypervisor,
        name,
        options=BackupOptions(
            full=options.increments.full,
            exclude=options.exclude,
            freeze=options.freeze,
            throttle=options.bandwidth.rate if options.bandwidth else None,
        ),
        reporter=watch,
        cancel=cancel,
    )


def _done(repository: Repository, name: str, point: RestorePoint, seconds: float) -> Outcome:
    stored = sum(disk.statistics.stored for disk in point.disks)
    return Outcome(
        name=name,
        place=repository.url,
        size=stored,
        files=len(point.disks),
        seconds=seconds,
        compressed=True,
        encrypted=repository.encrypted,
    )


def _failed(repository: Repository, name: str, error: HyperSDKError, seconds: float) -> Outcome:
    return Outcome(name=name, place=repository.url, seconds=seconds, error=error)


def _show(terminal: Terminal, repository: Repository, points: list[RestorePoint]) -> None:
    if terminal.quiet:
        for point in points:
            stored = words.size(sum(disk.statistics.stored for disk in point.disks))
            terminal.line(f"success: {point.instance} exported to {repository.url} ({stored})")
        return
    table = Table(COLUMNS)
    for point in points:
        add_rows(table, point)
    if points:
        terminal.table(table)
    for point in points:
        made = f"{point.instance}: restore point {point.id} of {words.moment(point.time)}"
        terminal.line(f"{made}, {words.consistency(point)}")
        for disk in point.disks:
            if disk.reason and not disk.incremental:
                terminal.line(f"{point.instance}/{disk.name}: read in full: {disk.reason}")
        for warning in point.warnings:
            terminal.complain(f"warning: {point.instance}: {warning}")
