"""``vmsnap --backup``"""

from __future__ import annotations

import contextvars
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import hypersdk
from hypersdk import (
    BackupOptions,
    CancelToken,
    Conflict,
    Decision,
    HyperSDKError,
    Hypervisor,
    Interrupted,
    InvalidInput,
    Repository,
    RestorePoint,
    RetentionPolicy,
    ScrubType,
    backup_instance,
    collect_garbage,
    scrub,
)
from hypersdk.cli import records, words
from hypersdk.cli.backup import COLUMNS, add_rows
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.progress import Watch, watching
from hypersdk.cli.tables import Table
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.cli.vmsnap import domains, notices, places, prune, requirements
from hypersdk.cli.vmsnap.domains import Selected, Selection
from hypersdk.cli.vmsnap.exits import described, noting, raise_failures
from hypersdk.cli.vmsnap.locks import lock_folder, locked
from hypersdk.cli.vmsnap.places import Clock, Place
from hypersdk.cli.vmsnap.prune import Pruned
from hypersdk.model.instances import Purpose

#: Checkpoints are called ``virtnbdbackup.N``, as scripts of vmsnap's users expect.
SERIES = "virtnbdbackup"
#: Seconds to wait for another vmsnap that removes old periods below the same output.
_PRUNE_WAIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Options:
    selection: Selection
    place: Place
    raw: bool = False
    prune: bool = False
    keep: RetentionPolicy = field(default_factory=RetentionPolicy)
    #: Compare every chunk of each new restore point with its id.
    verify: bool = False
    parallel: int = 1
    #: Path of the socket that disks are read through; empty: a private one.
    socket: str = ""
    #: Seconds to wait for a domain that another vmsnap works on.
    wait: float = 0.0
    notify: str | None = None


@dataclass(slots=True)
class Result:
    """What became of one domain; steps are added as they are done."""

    domain: str
    point: RestorePoint | None = None
    #: Names of earlier periods' checkpoints and bitmaps that were removed.
    cleared: tuple[str, ...] = ()
    #: Disks that were left out.
    left_out: tuple[str, ...] = ()
    verified: bool = False
    removed: list[Decision] = field(default_factory=list)
    pruned: list[Pruned] = field(default_factory=list)
    error: HyperSDKError | None = None

    def fail(self, error: HyperSDKError) -> None:
        self.error = error


def run(terminal: Terminal, options: Options, clock: Clock) -> None:
    """Raises the failure of the only domain, or PartialFailure naming each that failed."""
    with notices.told(terminal, options.notify, "backup") as notice:
        requirements.read_disks()
        now = clock()
        with domains.connected(options.selection) as hypervisor:
            selected = domains.select(hypervisor, options.selection)
            with places.open_or_make(terminal, options.place, now) as repository:
                job = _Job(terminal, options, hypervisor, repository, now)
                results = job.run(selected)
        notice.body = "\n".join(_summary(result) for result in results)
        terminal.result(
            {"repository": repository.url, "domains": [_document(each) for each in results]}
        )
        _show(terminal, results)
        failures = {result.domain: result.error for result in results if result.error}
        raise_failures("the backup", failures, (result.domain for result in results))


class _Job:
    """The domains of one run, which share a connection and a repository."""

    def __init__(
        self,
        terminal: Terminal,
        options: Options,
        hypervisor: Hypervisor,
        repository: Repository,
        now: datetime,
    ) -> None:
        self._terminal = terminal
        self._options = options
        self._hypervisor = hypervisor
        self._repository = repository
        self._now = now

    def run(self, selected: Selected) -> list[Result]:
        """Domains side by side; then, one after another, what removes older backups."""
        # One socket serves one domain at a time.
        parallel = 1 if self._options.socket else self._options.parallel
        with (
            cancelling(self._terminal) as cancel,
            watching(self._terminal) as watch,
            ThreadPoolExecutor(parallel, thread_name_prefix="domain") as pool,
        ):
            begun = [
                pool.submit(contextvars.copy_context().run, self._domain, name, watch, cancel)
                for name in selected.names
            ]
            results = [each.result() for each in begun]
            if cancel.cancelled:
                raise _interrupted(results)
            for result in results:
                with noting(result.fail):
                    self._tidy(result, watch, cancel)
        self._collect(results)
        unknown = [Result(name, error=error) for name, error in selected.unknown.items()]
        return results + unknown

    def _domain(self, name: str, watch: Watch, cancel: CancelToken) -> Result:
        result = Result(name)
        folder, uri = lock_folder(self._terminal.environment), self._options.selection.uri
        with (
            noting(result.fail),
            locked(folder, uri, name, wait=self._options.wait, cancel=cancel),
        ):
            cancel.check()
            if not self._repository.entries(name):
                # Complete in itself: what earlier periods counted on is of no use to it.
                old = scrub(self._hypervisor, name, ScrubType.ALL, series=SERIES)
                result.cleared = tuple(dict.fromkeys(old.checkpoints + old.bitmaps))
            settings = self._settings(result)
            result.point = backup_instance(
                self._repository,
                self._hypervisor,
                name,
                options=settings,
                reporter=watch,
                cancel=cancel,
            )
            if self._options.verify:
                prune.verified(self._repository, result.point, watch, cancel)
                result.verified = True
        return result

    def _settings(self, result: Result) -> BackupOptions:
        if not self._options.raw:
            result.left_out = self._raw_disks(result.domain)
        return BackupOptions(
            series=SERIES,
            socket=self._options.socket,
            exclude=frozenset(result.left_out),
            workers=self._terminal.settings.workers,
        )

    def _raw_disks(self, domain: str) -> tuple[str, ...]:
        """Disks whose format has no place for a record of changes."""
        assert self._hypervisor.inventory is not None
        instance = self._hypervisor.inventory.instance(domain)
        disks = [disk for disk in instance.disks if disk.purpose is Purpose.DISK]
        raw = tuple(disk.name for disk in disks if disk.format == "raw")
        if raw and len(raw) == len(disks):
            raise InvalidInput(
                f"'{domain}' has raw disks only, and those are left out",
                hint="Read them too, in full each time: --raw",
            )
        return raw

    def _tidy(self, result: Result, watch: Watch, cancel: CancelToken) -> None:
        """Only what has a new backup loses older ones."""
        if result.point is None or result.error is not None:
            return
        options = self._options
        if options.keep != RetentionPolicy():
            decisions = hypersdk.prune(self._repository, options.keep, instance=result.domain)
            result.removed = [each for each in decisions if not each.keep]
        old = prune.candidates(options.place, self._now) if options.prune else []
        if not old:
            return
        if not result.verified:
            prune.verified(self._repository, result.point, watch, cancel)
            result.verified = True
        folder, output = lock_folder(self._terminal.environment), options.place.output
        # Two runs that both find a period empty must not both remove it.
        with locked(
            folder, output, f"old periods in {output}", wait=_PRUNE_WAIT_SECONDS, cancel=cancel
        ):
            result.pruned = prune.prune(
                self._terminal, options.place, result.domain, old, result.left_out
            )

    def _collect(self, results: list[Result]) -> None:
        if not any(result.removed for result in results):
            return
        try:
            collect_garbage(self._repository)
        except Conflict as error:  # another collection is at work, and does the same
            self._terminal.note(f"No space was given back: {error.message}")


def _interrupted(results: list[Result]) -> Interrupted:
    done = ", ".join(result.domain for result in results if result.point)
    complete = f"Complete: {done}. " if done else ""
    return Interrupted(
        "the backup was interrupted",
        hint=f"{complete}What was stored so far is kept and reused by the next run.",
    )


def _document(result: Result) -> Document:
    return {
        "domain": result.domain,
        "point": records.point(result.point) if result.point else None,
        "cleared": list(result.cleared),
        "left_out": list(result.left_out),
        "verified": result.verified,
        "removed": [each.point.id for each in result.removed],
        "pruned": [
            {"folder": each.folder, "points": each.points, "whole": each.whole}
            for each in result.pruned
        ],
        "error": described(result.error) if result.error else None,
    }


def _summary(result: Result) -> str:
    """One line about a domain."""
    if result.point is None:
        return f"{result.domain}: failed: {result.error.message if result.error else 'unknown'}"
    stored = sum(disk.statistics.stored for disk in result.point.disks)
    line = (
        f"{result.domain}: restore point {result.point.id}, "
        f"{result.point.consistency.value}-consistent, {words.size(stored)} stored"
    )
    steps = [line, "verified"] if result.verified else [line]
    if result.removed:
        steps.append(f"{words.count(len(result.removed), 'older restore point')} removed")
    steps += [f"{each.folder} {'removed' if each.whole else 'cleared'}" for each in result.pruned]
    return ", ".join(steps)


def _show(terminal: Terminal, results: list[Result]) -> None:
    table = Table(COLUMNS)
    for result in results:
        if result.point:
            add_rows(table, result.point)
    if any(result.point for result in results):
        terminal.table(table)
    for result in results:
        if result.point is None:
            continue
        terminal.line(_summary(result))
        for disk in result.point.disks:
            if not disk.incremental and disk.reason:
                terminal.line(f"  {disk.name} was read in full: {disk.reason}")
        for warning in result.point.warnings:
            terminal.complain(f"warning: {result.domain}: {warning}")
        if result.left_out:
            names = ", ".join(result.left_out)
            terminal.complain(
                f"warning: {result.domain}: raw disks were left out: {names}; add --raw"
            )
