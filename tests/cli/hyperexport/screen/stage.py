"""A port whose hypervisors are made up, and of which every answer can be held back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static

from hypersdk import CancelToken, HyperSDKError, Instance, InstanceState, Interrupted, Progress
from hypersdk.cli.hyperexport.screen.confirming import ConfirmScreen
from hypersdk.cli.hyperexport.screen.how import HowScreen
from hypersdk.cli.hyperexport.screen.port import (
    Choices,
    Outcome,
    Page,
    Planned,
    Row,
    RowReporter,
    Settled,
)
from hypersdk.cli.hyperexport.screen.rows import RowList
from hypersdk.model.concerns import Concern, Severity
from hypersdk.model.details import DiskDetails, GuestDetails, InstanceDetails, NicDetails
from hypersdk.model.instances import Disk

GIB = 1 << 30
STATES = (InstanceState.RUNNING, InstanceState.STOPPED, InstanceState.RUNNING, InstanceState.PAUSED)
FOLDERS = ("prod/web", "prod/db", "test")
#: Seconds that a test waits at most for what happens in threads.
PATIENCE = 30.0


def row(name: str, number: int = 0, hypervisor: str = "vsphere://lab@vc/DC0") -> Row:
    """Always the same for the same number."""
    disks = tuple(
        Disk(f"scsi0-{index}", (20 + 10 * index + number % 7) * GIB)
        for index in range(1 + number % 3)
    )
    instance = Instance(
        id=f"id-{number}-{name}",
        name=name,
        state=STATES[number % 4],
        vcpus=2 + number % 3,
        memory=4 * GIB,
        disks=disks,
        folder=FOLDERS[number % 3],
    )
    return Row(hypervisor, instance)


def rows(count: int) -> tuple[Row, ...]:
    kinds = ("web", "db", "mail", "build")
    return tuple(row(f"{kinds[number % 4]}-{number:05}", number) for number in range(count))


@dataclass
class Stage:
    """A `ScreenPort`. Events that are set let what waits for them go on."""

    listed: tuple[Row, ...] = field(default_factory=lambda: rows(40))
    page: int = 500
    trouble: str = ""
    #: Name of an instance → what its plan says instead.
    concerns: Mapping[str, tuple[Concern, ...]] = field(default_factory=dict)
    refused: Mapping[str, HyperSDKError] = field(default_factory=dict)
    #: Name of an instance → why its export fails.
    failing: Mapping[str, HyperSDKError] = field(default_factory=dict)
    #: What is reported when an export has begun.
    reports: tuple[Progress, ...] = ()
    listing: threading.Event = field(default_factory=threading.Event)
    answering: threading.Event = field(default_factory=threading.Event)
    exporting: threading.Event = field(default_factory=threading.Event)
    #: What was asked, and in which thread.
    calls: list[tuple[str, Any]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    @property
    def hypervisors(self) -> Sequence[str]:
        return tuple(dict.fromkeys(each.hypervisor for each in self.listed))

    def _called(self, what: str, of: Any) -> None:
        self.calls.append((what, of))
        self.threads.add(threading.get_ident())

    def pages(self) -> Iterator[Page]:
        self._called("pages", None)
        for first in range(0, len(self.listed), self.page):
            yield Page(self.listed[first : first + self.page])
            if first == 0 and len(self.listed) > self.page:
                self.listing.wait(PATIENCE)
        if self.trouble:
            yield Page(trouble=self.trouble)

    def details(self, row: Row) -> InstanceDetails:
        self._called("details", row)
        self.answering.wait(PATIENCE)
        if row.instance.name in self.refused:
            raise self.refused[row.instance.name]
        return InstanceDetails(
            instance=row.instance,
            host="esx-1.lab",
            firmware="uefi",
            snapshots=2,
            stored=7 * GIB,
            disks=tuple(
                DiskDetails(name=disk.name, size=disk.size, thin=True)
                for disk in row.instance.disks
            ),
            nics=(NicDetails(name="ethernet-0", network="VM Network", model="vmxnet3"),),
            guest=GuestDetails(agent=True, os="Debian GNU/Linux 12", addresses=("10.0.0.7",)),
            reading="Disks are read from a snapshot, four streams at a time.",
        )

    def plan(self, row: Row, choices: Choices) -> Planned:
        self._called("plan", (row, choices))
        self.answering.wait(PATIENCE)
        name = row.instance.name
        if name in self.refused:
            raise self.refused[name]
        return Planned(
            row=row,
            folder=f"{choices.output}/{name}",
            size=row.size,
            to_read=row.size // 2,
            room_needed=row.size // 2,
            room_free=900 * GIB,
            reading="Disks are read from a snapshot, four streams at a time.",
            concerns=self.concerns.get(name, ()),
        )

    def profiles(self) -> Mapping[str, Mapping[str, Any]]:
        return {
            "Quick Export": {"format": "ovf", "parallel": 8},
            "Production Backup": {"format": "ova", "compress": True, "verify": True},
            "off-site": {"format": "ova", "upload": "s3://backups/vms", "encrypt": True},
        }

    def export(
        self,
        rows: Sequence[Row],
        choices: Choices,
        reporter: RowReporter,
        settled: Settled,
        cancel: CancelToken,
    ) -> None:
        self._called("export", (tuple(rows), choices))
        for each, progress in zip(rows, self.reports, strict=False):
            reporter(each, progress)
        while not self.exporting.is_set() and not cancel.cancelled:
            time.sleep(0.01)
        for each in rows:
            error = self.failing.get(each.instance.name)
            if cancel.cancelled:
                error = Interrupted("cancelled")
            settled(
                Outcome(
                    row=each,
                    place=f"{choices.output}/{each.instance.name}",
                    size=0 if error else each.size // 3,
                    seconds=83.0,
                    error=error,
                )
            )

    def open(self) -> Stage:
        """Hold nothing back."""
        for event in (self.listing, self.answering, self.exporting):
            event.set()
        return self

    def asked(self, what: str) -> list[Any]:
        """Of what it was asked this."""
        return [of for name, of in self.calls if name == what]


def critical(message: str = "the datastore ds is not accessible") -> Concern:
    return Concern("placement.storage-missing", Severity.CRITICAL, message, "Mount the datastore.")


def warning() -> Concern:
    return Concern(
        "changed-blocks.off",
        Severity.WARNING,
        "changed blocks are not recorded: every backup reads all disks",
        "Switch it on with --incremental.",
    )


async def until(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Wait for what threads do."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        await pilot.pause(0.02)
        await asyncio.sleep(0)
    await pilot.pause()


def text(app: App[Any], selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


def listed(pilot: Pilot[Any]) -> RowList:
    return pilot.app.screen.query_one(RowList)


async def arrived(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: "more are coming" not in text(pilot.app, "#title"))


async def at(pilot: Pilot[Any], screen: type) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, screen))


async def confirmed(pilot: Pilot[Any]) -> None:
    """Go from the list to the beginning of the export."""
    await pilot.press("enter")
    await at(pilot, HowScreen)
    await pilot.press("f2")
    await at(pilot, ConfirmScreen)
    await until(pilot, lambda: "to read" in text(pilot.app, "#title"))
