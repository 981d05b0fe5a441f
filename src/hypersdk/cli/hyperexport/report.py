"""``--report``: what all exports add up to; as text, JSON or HTML."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from hypersdk import ExportStatistics
from hypersdk.cli import words
from hypersdk.cli.hyperexport import history, pages
from hypersdk.cli.hyperexport.options.keeping import Report
from hypersdk.cli.terminal import Document, Terminal


def run(terminal: Terminal, report: Report, now: datetime) -> None:
    found = history.opened(terminal.environment).statistics()
    document = _document(found, now)
    terminal.result(document)
    if report.file is not None:
        page = {**document, "size": words.size, "duration": words.duration}
        pages.write(report.file, "report.html.j2", document, _text(found), shown=page)
        terminal.line(f"report written to {report.file}")
        return
    for line in _text(found):
        terminal.line(line)


def _text(found: ExportStatistics) -> Iterator[str]:
    yield f"exports:        {found.total}"
    yield f"succeeded:      {found.succeeded} ({found.success_percent:.1f} %)"
    yield f"failed:         {found.failed}"
    yield f"bytes written:  {words.size(found.total_size)}"
    yield f"mean duration:  {words.duration(found.mean_duration)}"
    for title, counts in (("by format", found.by_format), ("by provider", found.by_provider)):
        if counts:
            listed = ", ".join(f"{name} {count}" for name, count in counts.items())
            yield f"{title + ':':<16}{listed}"
    if found.last:
        yield ""
        yield "the latest:"
    for each in found.last:
        result = words.size(each.total_size) if each.success else f"failed: {each.error_message}"
        yield f"  {words.moment(each.timestamp)}  {each.vm_name}  {each.format}  {result}"


def _document(found: ExportStatistics, now: datetime) -> Document:
    return {
        "time": words.moment(now),
        "total": found.total,
        "succeeded": found.succeeded,
        "failed": found.failed,
        "success_percent": round(found.success_percent, 1),
        "total_size": found.total_size,
        "mean_duration": round(found.mean_duration, 3),
        "by_format": dict(found.by_format),
        "by_provider": dict(found.by_provider),
        "last": [history.document_of(each) for each in found.last],
    }
