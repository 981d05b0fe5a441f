"""``--cleanup``: remove old exports, by age, count and size."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from hypersdk import CleanupRules, InvalidInput, Removed, cleanup_exports
from hypersdk.cli import words
from hypersdk.cli.hyperexport.options.values import Given
from hypersdk.cli.tables import Column, Table, left, right
from hypersdk.cli.terminal import Terminal

#: The rule when no other is given.
USUAL_AGE = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    folder: Path
    rules: CleanupRules
    dry_run: bool


def options(given: Given) -> Options:
    """Raises InvalidInput without a folder: nothing is removed from where nobody looked."""
    if given["output"] is None:
        raise InvalidInput(
            "which folder is to be cleaned up was not said", hint="Name it: --output DIR"
        )
    count, size = given["cleanup_max_count"] or None, given["cleanup_max_size"] or None
    age: timedelta | None = given["cleanup_max_age"]
    if age is None and count is None and size is None:
        age = USUAL_AGE
    return Options(
        folder=given["output"],
        rules=CleanupRules(
            max_age=age.total_seconds() if age else None, max_count=count, max_size=size
        ),
        dry_run=given["cleanup_dry_run"] or given["dry_run"],
    )


def run(terminal: Terminal, options: Options) -> None:
    removed = cleanup_exports(options.folder, options.rules, dry_run=options.dry_run)
    freed = sum(each.size for each in removed)
    terminal.result(
        {
            "dry_run": options.dry_run,
            "freed": freed,
            "removed": [_document(each) for each in removed],
        }
    )
    would = "would be " if options.dry_run else ""
    if not removed:
        terminal.line(f"{options.folder}: nothing to remove")
        return
    if terminal.quiet:
        for each in removed:
            terminal.line(f"{'would-remove' if options.dry_run else 'removed'}: {each.folder}")
        return
    table = Table((*left("FOLDER", "TIME"), *right("SIZE"), Column("REASON", fold=True)))
    for each in removed:
        table.add(str(each.folder), words.moment(each.time), words.size(each.size), each.reason)
    terminal.table(table)
    what = words.count(len(removed), "export")
    terminal.line(f"{what} {would}removed, {words.size(freed)} {would}freed")


def _document(record: Removed) -> dict[str, object]:
    return {
        "folder": str(record.folder),
        "time": words.moment(record.time),
        "size": record.size,
        "reason": record.reason,
    }
