"""``--validate-only``: what may go wrong, without exporting anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from hypersdk import ConcernsFound, PreflightReport, check_export
from hypersdk.cli import words
from hypersdk.cli.hyperexport import pages
from hypersdk.cli.hyperexport.connecting import chosen, connected
from hypersdk.cli.hyperexport.export import Options
from hypersdk.cli.hyperexport.options.keeping import Report
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.model.concerns import Severity

_STYLES = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: ""}


def run(terminal: Terminal, options: Options, report: Report | None, now: datetime) -> None:
    """Raises ConcernsFound when something critical was found."""
    with connected(terminal, options.source) as hypervisor:
        found = [
            check_export(hypervisor, name, options.destination(name))
            for name in chosen(hypervisor, options.source)
        ]
    document: Document = {"instances": [_document(each) for each in found]}
    terminal.result(document)
    for each in found:
        _show(terminal, each)
    if report is not None and report.file is not None:
        page = {**document, "time": words.moment(now)}
        pages.write(report.file, "check.html.j2", page, _text(found))
        terminal.note(f"Report written to {report.file}.")
    _raise(found)


def _raise(found: list[PreflightReport]) -> None:
    blocked = [each for each in found if each.blocks]
    if not blocked:
        return
    names = ", ".join(each.details.instance.name for each in blocked)
    count = sum(each.counts[Severity.CRITICAL] for each in blocked)
    raise ConcernsFound(
        f"{words.count(count, 'critical concern')} about {names}",
        hint="Do what the fixes say, or export with --force.",
    )


def _show(terminal: Terminal, found: PreflightReport) -> None:
    name = found.details.instance.name
    if terminal.quiet:
        for concern in found.concerns:
            terminal.line(f"{concern.severity.value}: {name}: {concern.id}: {concern.message}")
        return
    if not found.concerns:
        terminal.line(f"{name}: nothing found")
        return
    table = Table(
        (*left("SEVERITY", "CONCERN"), Column("WHAT", fold=True), Column("FIX", fold=True))
    )
    for concern in found.concerns:
        table.add(concern.severity.value, concern.id, concern.message, concern.fix)
    terminal.line(f"{name}: {_counts(found)}")
    terminal.table(table)


def _counts(found: PreflightReport) -> str:
    return ", ".join(
        f"{count} {severity.value}" for severity, count in found.counts.items() if count
    )


def _text(found: list[PreflightReport]) -> Iterator[str]:
    for each in found:
        yield f"{each.details.instance.name}: {_counts(each) or 'nothing found'}"
        for concern in each.concerns:
            yield f"  {concern.severity.value}: {concern.message} [{concern.id}]"
            if concern.fix:
                yield f"    {concern.fix}"


def _document(found: PreflightReport) -> Document:
    return {
        "name": found.details.instance.name,
        "blocked": found.blocks,
        "counts": {severity.value: count for severity, count in found.counts.items()},
        "concerns": [
            {
                "id": concern.id,
                "severity": concern.severity.value,
                "message": concern.message,
                "fix": concern.fix,
            }
            for concern in found.concerns
        ],
    }
