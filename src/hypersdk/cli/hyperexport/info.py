"""``--vm-info``: all that is known of an instance."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from hypersdk import InstanceDetails, details_of
from hypersdk.cli import words
from hypersdk.cli.hyperexport.connecting import chosen, connected
from hypersdk.cli.hyperexport.options.source import Source
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.model.units import MIB

#: Facts that are yes, no or unknown, and how they read.
_FACTS = {
    "template": "template",
    "secure_boot": "secure boot",
    "encrypted": "encrypted",
    "changed_blocks": "changed blocks recorded",
    "consolidation_needed": "consolidation needed",
    "fault_tolerance": "fault tolerance",
}


def run(terminal: Terminal, source: Source) -> None:
    with connected(terminal, source) as hypervisor:
        found = [details_of(hypervisor, name) for name in chosen(hypervisor, source)]
    terminal.result({"instances": [document_of(each) for each in found]})
    for each in found:
        if terminal.quiet:
            _quiet(terminal, each)
        else:
            _show(terminal, each)


def document_of(record: object) -> Any:
    """The record as JSON, member by member under their own names."""
    if isinstance(record, enum.Enum):
        return record.value
    if is_dataclass(record) and not isinstance(record, type):
        return {each.name: document_of(getattr(record, each.name)) for each in fields(record)}
    if isinstance(record, Mapping):
        return {str(key): document_of(value) for key, value in record.items()}
    if isinstance(record, tuple | list):
        return [document_of(each) for each in record]
    return record


def _quiet(terminal: Terminal, details: InstanceDetails) -> None:
    """``key=value`` lines, by the names that scripts know."""
    instance = details.instance
    stored = details.stored
    known: Document = {
        "name": instance.name,
        "path": details.path or f"{instance.folder}/{instance.name}".lstrip("/"),
        "power_state": instance.state.value,
        "guest_os": details.guest.os,
        "cpu": instance.vcpus,
        "memory_mb": instance.memory // MIB,
        "storage_bytes": stored if stored is not None else sum(d.size for d in details.disks),
    }
    for key, value in known.items():
        terminal.line(f"{key}={value}")


def _show(terminal: Terminal, details: InstanceDetails) -> None:
    rows = [(title, text) for title, text in _facts(details) if text]
    width = max(len(title) for title, _ in rows) + 2
    for title, text in rows:
        terminal.line(f"{title + ':':<{width}}{text}")
    disks = Table((*left("DISK"), *right("SIZE"), *left("STORAGE", "KIND", "PATH")))
    for disk in details.disks:
        disks.add(disk.name, words.size(disk.size), disk.storage, _kind(disk), disk.path)
    if details.disks:
        terminal.line()
        terminal.table(disks)
    nics = Table(left("NIC", "MAC", "NETWORK", "MODEL", "ADDRESSES"))
    for nic in details.nics:
        nics.add(nic.name, nic.mac, nic.network, nic.model, ", ".join(nic.addresses))
    if details.nics:
        terminal.line()
        terminal.table(nics)


def _kind(disk: Any) -> str:
    parts = ["" if disk.backing == "file" else disk.backing]
    parts += [name for name in ("thin", "shared", "independent") if getattr(disk, name)]
    return ", ".join(filter(None, parts))


def _facts(details: InstanceDetails) -> Iterator[tuple[str, str]]:
    instance, guest = details.instance, details.guest
    yield "name", instance.name
    yield "path", details.path or f"{instance.folder}/{instance.name}".lstrip("/")
    yield "id", instance.id
    yield "state", instance.state.value
    yield "guest", guest.os
    yield "hostname", guest.hostname
    yield "addresses", ", ".join(guest.addresses)
    yield "agent", _answer(guest.agent)
    yield "processors", str(instance.vcpus or "")
    yield "memory", words.size(instance.memory) if instance.memory else ""
    yield "firmware", details.firmware
    yield "hardware", details.hardware
    yield "host", details.host
    yield "product", details.product
    yield "occupied", words.size(details.stored) if details.stored is not None else ""
    yield "snapshots", str(details.snapshots) if details.snapshots else ""
    for name, title in _FACTS.items():
        yield title, _answer(getattr(details, name))
    yield "devices", ", ".join(f"{device.kind} {device.name}" for device in details.devices)
    yield "tags", ", ".join(f"{key}={value}" for key, value in instance.tags.items())
    yield "is read", details.reading


def _answer(value: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[value]
