"""Rules about where an export goes: room, rights, what is there, what its format can hold."""

from __future__ import annotations

from collections.abc import Iterator

from hypersdk.flows.preflight.rule import Needs, Rule
from hypersdk.flows.preflight.subject import DestinationFacts, Subject
from hypersdk.model.concerns import Severity
from hypersdk.model.units import GIB, TIB, format_size

#: Beside what is needed, so that the estimate may be a little wrong.
_MARGIN = 0.10
#: Of a file system, below which others on it get into trouble.
_LEFT_FREE = 0.20
#: Largest disk that a format holds. VHD: 2040 GiB, as qemu-img writes it
#: (0xff000000 sectors); VHDX: [MS-VHDX] 64 TiB; VMDK: 62 TiB, VMware's configuration maximums; VDI:
#: 2^29 - 1 blocks of 1 MiB in qemu-img, of which VirtualBox is known to take 2 TiB.
_LARGEST = {
    "vhd": 2040 * GIB,
    "vhdx": 64 * TIB,
    "vdi": 2 * TIB,
    "vmdk": 62 * TIB,
    "ovf": 62 * TIB,
    "ova": 62 * TIB,
}
#: What the size field of a plain tar header holds; more takes an extension of it.
_TAR_MEMBER = 8 * GIB


def _facts(subject: Subject) -> DestinationFacts:
    facts = subject.destination
    assert facts is not None, "rules that need a destination run with one"
    return facts


def _no_room(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    if facts.free is None or facts.needed is None:
        return
    if facts.free < facts.needed * (1 + _MARGIN):
        yield (
            f"{facts.folder} has {format_size(facts.free)} free; {subject.name} takes up to "
            f"{format_size(facts.needed)}, and a tenth more should be there"
        )


def _little_room(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    if facts.free is None or facts.needed is None or not facts.total:
        return
    left = facts.free - facts.needed
    if facts.free >= facts.needed * (1 + _MARGIN) and left < facts.total * _LEFT_FREE:
        yield (
            f"the file system of {facts.folder} will have {format_size(left)} of "
            f"{format_size(facts.total)} free after the export of {subject.name}"
        )


def _unwritable(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    if facts.unwritable:
        yield f"{facts.folder} cannot be written: {facts.unwritable}"


def _clash(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    if facts.existing and not facts.overwrite:
        more = f" and {len(facts.existing) - 1} more" if len(facts.existing) > 1 else ""
        yield (
            f"{facts.folder} holds an export of {subject.name} already: {facts.existing[0]}{more}"
        )


def _unfinished(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    if facts.unfinished and not facts.resume:
        yield f"{facts.folder} holds an unfinished export of {subject.name}"


def _too_large(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    most = _LARGEST.get(facts.format)
    if most is None:
        return
    for disk in subject.details.disks:
        if disk.size > most:
            yield (
                f"disk {disk.name} of {subject.name} has {format_size(disk.size)}; {facts.format} "
                f"holds {format_size(most)}"
            )


def _large_member(subject: Subject) -> Iterator[str]:
    if _facts(subject).format != "ova":
        return
    for disk in subject.details.disks:
        if disk.size > _TAR_MEMBER:
            yield (
                f"disk {disk.name} of {subject.name} may become a file of more than 8 GiB inside "
                "of the archive"
            )


RULES = (
    Rule(
        id="destination.space",
        title="Too little room",
        severity=Severity.CRITICAL,
        check=_no_room,
        fix="Free space, choose another folder with --output, or write straight to another place "
        "with --stream-upload.",
        needs=Needs.DESTINATION,
    ),
    Rule(
        id="destination.space-low",
        title="Little room left afterwards",
        severity=Severity.WARNING,
        check=_little_room,
        fix="Free space, or remove old exports with --cleanup.",
        needs=Needs.DESTINATION,
    ),
    Rule(
        id="destination.unwritable",
        title="Folder that cannot be written",
        severity=Severity.CRITICAL,
        check=_unwritable,
        fix="Choose another folder with --output, or have the right to write given to you.",
        needs=Needs.DESTINATION,
    ),
    Rule(
        id="destination.exists",
        title="Export of that name",
        severity=Severity.CRITICAL,
        check=_clash,
        fix="Choose another folder with --output, or replace it with --overwrite.",
        needs=Needs.DESTINATION,
    ),
    Rule(
        id="destination.unfinished",
        title="Unfinished export of that name",
        severity=Severity.INFO,
        check=_unfinished,
        fix="Continue it with --resume; otherwise it begins anew.",
        needs=Needs.DESTINATION,
    ),
    Rule(
        id="format.disk-too-large",
        title="Disk larger than the format holds",
        severity=Severity.CRITICAL,
        check=_too_large,
        fix="Export as qcow2 or raw, which hold any size.",
        needs=Needs.DESTINATION,
    ),
    Rule(
        id="format.ova-member",
        title="Large file in an archive",
        severity=Severity.INFO,
        check=_large_member,
        fix="Programs that read plain tar only cannot open it; --format ovf has no such limit.",
        needs=Needs.DESTINATION,
    ),
)
