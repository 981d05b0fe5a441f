"""What an export came to, for a person, for a script, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from hypersdk import Exported
from hypersdk.cli import words
from hypersdk.cli.hyperexport.outcomes import Outcome
from hypersdk.cli.tables import Column, Table, left, right
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.model.instances import Consistency

_CONSISTENCY = {
    Consistency.OFFLINE: "switched off",
    Consistency.CRASH: "crash-consistent, as after a power cut",
    Consistency.FILESYSTEM: "filesystems frozen",
}
#: Hex digits of a digest that a table shows; the whole is in checksums.txt.
_DIGEST = 16


def exported(terminal: Terminal, record: Exported) -> None:
    """One instance that is done."""
    place = str(record.folder) if record.local else record.uploaded
    if terminal.quiet:
        name = record.instance.name
        terminal.line(f"success: {name} exported to {place} ({words.size(record.size)})")
        return
    columns = (*left("FILE"), *right("SIZE"), *left("DISK", record.checksum.upper()))
    table = Table(columns)
    for file in record.files:
        table.add(file.name, words.size(file.size), file.disk, file.digest[:_DIGEST])
    terminal.table(table)
    terminal.line(f"{record.instance.name}: exported to {place}: {_facts(record)}")
    if record.uploaded and record.local:
        terminal.line(f"{record.instance.name}: uploaded to {record.uploaded}")
    if record.snapshot:
        terminal.line(f"{record.instance.name}: snapshot {record.snapshot} was kept")
    for warning in record.warnings:
        terminal.complain(f"warning: {record.instance.name}: {warning}")


def _facts(record: Exported) -> str:
    again = sum(disk.taken_over for disk in record.disks)
    parts = [
        f"{words.size(record.size)} in {words.duration(record.seconds)}",
        _CONSISTENCY[record.consistency],
        "verified" if record.verified else "",
        f"{words.count(again, 'disk')} taken over" if again else "",
    ]
    return ", ".join(filter(None, parts))


def summary(terminal: Terminal, outcomes: Sequence[Outcome]) -> None:
    """Of a batch."""
    total = len(outcomes)
    failed = sum(each.error is not None for each in outcomes)
    terminal.result({"batch": {"total": total, "success": total - failed, "failed": failed}})
    if terminal.quiet:
        terminal.line(f"batch-summary: total={total} success={total - failed} failed={failed}")
        return
    table = Table((*left("INSTANCE"), *right("SIZE", "TIME"), Column("RESULT", fold=True)))
    for each in outcomes:
        size = words.size(each.size) if each.error is None else ""
        result = each.place if each.error is None else each.error.message
        table.add(each.name, size, words.duration(each.seconds), result)
    terminal.table(table)
    terminal.line(f"{total - failed} of {words.count(total, 'instance')} exported")


def export_document(record: Exported) -> Document:
    """Bytes, seconds, ISO 8601."""
    return {
        "name": record.instance.name,
        "id": record.instance.id,
        "format": record.format,
        "folder": str(record.folder) if record.local else None,
        "uploaded": record.uploaded or None,
        "time": words.moment(record.time),
        "seconds": round(record.seconds, 3),
        "size": record.size,
        "consistency": record.consistency.value,
        "reading": record.reading,
        "snapshot": record.snapshot or None,
        "verified": record.verified,
        "checksum": record.checksum,
        "files": [
            {"name": each.name, "size": each.size, "digest": each.digest, "disk": each.disk or None}
            for each in record.files
        ],
        "disks": [
            {
                "name": each.name,
                "file": each.file,
                "size": each.size,
                "read": each.read,
                "stored": each.stored,
                "seconds": round(each.seconds, 3),
                "taken_over": each.taken_over,
            }
            for each in record.disks
        ],
        "warnings": list(record.warnings),
    }
