"""How instances and amounts read on the screen."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from hypersdk import InstanceState
from hypersdk.cli import words
from hypersdk.cli.hyperexport.screen.port import Row
from hypersdk.model.concerns import Concern, Severity
from hypersdk.model.details import DiskDetails, InstanceDetails

STATE_STYLES = {
    InstanceState.RUNNING: "green",
    InstanceState.PAUSED: "yellow",
    InstanceState.CRASHED: "red",
}
SEVERITY_STYLES = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}
#: Before a concern, so that it is not told by its colour alone.
SEVERITY_MARKS = {Severity.CRITICAL: "✗", Severity.WARNING: "!", Severity.INFO: "·"}


def printable(text: str) -> str:
    """Names may hold anything; on a screen only what has a place of its own."""
    return "".join(each if each.isprintable() else "?" for each in text)


def details_text(row: Row, details: InstanceDetails) -> Text:
    """What the pane beside the list tells: one fact a line, none that is not known."""
    text = Text()
    text.append(printable(details.instance.name), "bold")
    for name, value in _facts(row, details):
        if value:
            text.append(f"\n{name:<9} ", "dim")
            text.append(printable(value))
    _disks(text, details)
    _cards(text, details)
    if details.reading:
        text.append("\n\n")
        text.append(printable(details.reading), "italic")
    return text


def listed_text(row: Row, said: str) -> Text:
    """The same from the list alone, while more is asked for, or when that failed."""
    text = details_text(row, InstanceDetails(instance=row.instance))
    text.append("\n\n")
    text.append(printable(said), "dim")
    return text


def _facts(row: Row, details: InstanceDetails) -> Iterator[tuple[str, str]]:
    instance, guest = details.instance, details.guest
    yield "state", instance.state.value
    yield "cpu", f"{instance.vcpus}" if instance.vcpus else ""
    yield "memory", words.size(instance.memory) if instance.memory else ""
    yield "folder", instance.folder
    yield "host", details.host
    yield "cluster", details.cluster
    yield "system", guest.os or guest.os_id
    yield "name", guest.hostname
    yield "address", ", ".join(guest.addresses)
    yield "firmware", _firmware(details)
    yield "snapshots", str(details.snapshots) if details.snapshots else ""
    yield "stored", words.size(details.stored) if details.stored is not None else ""
    yield "on", row.hypervisor
    yield "tags", ", ".join(f"{name}={value}" for name, value in instance.tags.items())


def _firmware(details: InstanceDetails) -> str:
    secure = ", secure boot" if details.secure_boot else ""
    return f"{details.firmware}{secure}" if details.firmware else ""


def _disks(text: Text, details: InstanceDetails) -> None:
    disks = details.disks or tuple(
        DiskDetails(name=disk.name, size=disk.size) for disk in details.instance.disks
    )
    if disks:
        text.append(f"\n\n{words.count(len(disks), 'disk')}", "dim")
    for disk in disks:
        notes = [
            word
            for word, holds in (
                ("thin", disk.thin),
                ("independent", disk.independent),
                ("shared", disk.shared),
            )
            if holds
        ]
        text.append(f"\n  {printable(disk.name)} {words.size(disk.size)}")
        if notes:
            text.append(f" {', '.join(notes)}", "dim")


def _cards(text: Text, details: InstanceDetails) -> None:
    if details.nics:
        text.append(f"\n\n{words.count(len(details.nics), 'network card')}", "dim")
    for nic in details.nics:
        text.append(f"\n  {printable(nic.name)} {printable(nic.network)}")
        if nic.model:
            text.append(f" {printable(nic.model)}", "dim")


def concern_text(concern: Concern) -> Text:
    """Two lines: what was found, and what to do about it."""
    mark, style = SEVERITY_MARKS[concern.severity], SEVERITY_STYLES[concern.severity]
    text = Text().append(f"  {mark} {printable(concern.message)}", style)
    text.append(f" [{concern.id}]", "dim")
    if concern.fix:
        text.append(f"\n    {concern.fix}", "dim")
    return text
