"""Where ``hypersdk restore`` can bring a restore point, and what it then says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import hypersdk
from hypersdk import (
    BootTest,
    BootTestOptions,
    CancelToken,
    Hypervisor,
    ProvisionOptions,
    Repository,
    RestoredDisk,
    RestoreOptions,
    RestorePoint,
    connect,
)
from hypersdk.cli import records, words
from hypersdk.cli.progress import Watch
from hypersdk.cli.tables import Column, Table, left, right
from hypersdk.cli.terminal import Document, Terminal


class Destination(Protocol):
    """One way of restoring."""

    def restore(
        self, repository: Repository, point: RestorePoint, watch: Watch, cancel: CancelToken
    ) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done: for machines, and for people."""

    document: Document
    disks: Sequence[RestoredDisk] = ()
    lines: tuple[str, ...] = ()

    def show(self, terminal: Terminal) -> None:
        terminal.result(self.document)
        if self.disks:
            terminal.table(_table(self.disks))
        for line in self.lines:
            terminal.line(line)


@dataclass(frozen=True, slots=True)
class Files:
    """Image files."""

    to: Path
    disk: str | None
    settings: RestoreOptions

    def restore(
        self, repository: Repository, point: RestorePoint, watch: Watch, cancel: CancelToken
    ) -> Outcome:
        disks = hypersdk.restore(
            repository,
            point,
            self.to,
            disk=self.disk,
            options=self.settings,
            reporter=watch,
            cancel=cancel,
        )
        return Outcome({"disks": list(map(records.restored, disks))}, disks)


@dataclass(frozen=True, slots=True)
class NewInstance:
    """An instance on a hypervisor that is not there yet."""

    url: str
    settings: ProvisionOptions

    def restore(
        self, repository: Repository, point: RestorePoint, watch: Watch, cancel: CancelToken
    ) -> Outcome:
        with _connected(self.url) as hypervisor:
            made = hypersdk.restore_instance(
                repository,
                point,
                hypervisor,
                options=self.settings,
                reporter=watch,
                cancel=cancel,
            )
        document: Document = {
            "disks": list(map(records.restored, made.disks)),
            "instance": made.instance.name,
            "instance_id": made.instance.id,
            "started": made.started,
        }
        state = "is running" if made.started else "is defined, switched off"
        return Outcome(document, made.disks, (f"{made.instance.name} {state} on {self.url}",))


@dataclass(frozen=True, slots=True)
class SameInstance:
    """The instance itself, put back in place."""

    url: str
    name: str
    settings: RestoreOptions

    def restore(
        self, repository: Repository, point: RestorePoint, watch: Watch, cancel: CancelToken
    ) -> Outcome:
        name = self.name or point.instance
        with _connected(self.url) as hypervisor:
            disks = hypersdk.revert_instance(
                repository,
                point,
                hypervisor,
                name,
                options=self.settings,
                reporter=watch,
                cancel=cancel,
            )
        document: Document = {"disks": list(map(records.restored, disks)), "instance": name}
        lines = (f"{name} is as it was at {words.moment(point.time)}",)
        return Outcome(document, disks, lines)


@dataclass(frozen=True, slots=True)
class Trial:
    """An instance that is booted in isolation and removed again."""

    url: str
    settings: BootTestOptions
    screenshot: Path | None

    def restore(
        self, repository: Repository, point: RestorePoint, watch: Watch, cancel: CancelToken
    ) -> Outcome:
        with _connected(self.url) as hypervisor:
            seen = hypersdk.boot_test(
                repository, point, hypervisor, options=self.settings, reporter=watch, cancel=cancel
            )
        if self.screenshot is not None:
            self.screenshot.write_bytes(seen.screenshot)
        return Outcome({"boot_test": records.boot_test(seen)}, lines=tuple(self._lines(seen)))

    def _lines(self, seen: BootTest) -> Iterator[str]:
        yield f"{seen.instance} booted: {words.sign(seen.sign)}"
        yield (
            f"RTO {seen.rto:.1f} s: restored in {seen.restore_seconds:.1f} s, "
            f"booted in {seen.boot_seconds:.1f} s"
        )
        yield f"{seen.instance} runs on" if self.settings.keep else f"{seen.instance} was removed"
        if self.screenshot is not None:
            yield f"its screen: {self.screenshot}"


@contextlib.contextmanager
def _connected(url: str) -> Iterator[Hypervisor]:
    hypervisor = connect(url)
    try:
        yield hypervisor
    finally:
        hypervisor.close()


def _table(disks: Sequence[RestoredDisk]) -> Table:
    columns = (
        *left("DISK"),
        *right("SIZE", "WRITTEN", "SECONDS", "MiB/s"),
        Column("PATH", fold=True),
    )
    table = Table(columns)
    for disk in disks:
        table.add(
            disk.disk,
            words.size(disk.size),
            words.size(disk.written),
            f"{disk.seconds:.1f}",
            words.speed(disk.written, disk.seconds),
            str(disk.path),
        )
    return table
