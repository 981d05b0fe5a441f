"""The files of a report: all formats of one run in one folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hypersdk.conformance.figures import Regression
from hypersdk.conformance.history import Step
from hypersdk.conformance.reports.document import write_run
from hypersdk.conformance.reports.html import html
from hypersdk.conformance.reports.junit import junit
from hypersdk.conformance.reports.text import text
from hypersdk.conformance.results import Run

RESULTS, JUNIT, SUMMARY, PAGE = "results.json", "junit.xml", "summary.txt", "report.html"


def write_reports(
    run: Run,
    folder: Path,
    *,
    regressions: Sequence[Regression] = (),
    trend: Mapping[str, Sequence[Step]] | None = None,
) -> tuple[Path, ...]:
    """Write ``results.json``, ``junit.xml``, ``summary.txt`` and ``report.html``; their paths.

    The folder is made when it is missing; files of an earlier run are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The results first: whatever happens to a page, they are kept.
    write_run(run, folder / RESULTS)
    (folder / JUNIT).write_bytes(junit(run))
    (folder / SUMMARY).write_text(text(run, regressions), encoding="utf-8")
    page = html(run, regressions=regressions, trend=trend)
    (folder / PAGE).write_text(page, encoding="utf-8")
    return tuple(folder / name for name in (RESULTS, JUNIT, SUMMARY, PAGE))
