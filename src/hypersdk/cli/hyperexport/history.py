"""The history of exports: who writes it, ``--history`` and ``--clear-history``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypersdk import ExportHistory, ExportRecord, HyperSDKError
from hypersdk.cli import words
from hypersdk.cli.hyperexport.notices import warn
from hypersdk.cli.hyperexport.outcomes import Outcome, Run
from hypersdk.cli.tables import Column, Table, left, right
from hypersdk.cli.terminal import Document, Terminal


def opened(environment: Mapping[str, str]) -> ExportHistory:
    """Of this user; the file is made when there is something to note."""
    state = environment.get("XDG_STATE_HOME") or "~/.local/state"
    return ExportHistory(Path(state).expanduser() / "hypersdk" / "exports.jsonl")


class Recorder:
    """Notes every export, failed ones too."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._history = opened(terminal.environment)

    def began(self, run: Run) -> None:
        """Nothing has happened yet."""

    def settled(self, run: Run, outcome: Outcome) -> None:
        error = outcome.error
        record = ExportRecord(
            timestamp=datetime.now(UTC) - timedelta(seconds=outcome.seconds),
            vm_name=outcome.name,
            provider=run.hypervisor.partition(":")[0].partition("+")[0],
            format=run.format,
            output_dir=outcome.place,
            total_size=outcome.size,
            duration=round(outcome.seconds, 3),
            files_count=outcome.files,
            success=error is None,
            error_message=error.message if error else "",
            compressed=outcome.compressed,
            verified=outcome.verified,
            metadata=_metadata(run, outcome),
        )
        try:
            self._history.append(record)
        except HyperSDKError as failure:
            warn(self._terminal, failure)

    def ended(self, run: Run, outcomes: Sequence[Outcome]) -> None:
        """Each instance was noted when it was done."""


def _metadata(run: Run, outcome: Outcome) -> dict[str, str]:
    found = {"hypervisor": run.hypervisor, "uploaded": outcome.uploaded}
    if outcome.encrypted:
        found["encrypted"] = "yes"
    return {name: value for name, value in found.items() if value}


def run(terminal: Terminal, limit: int) -> None:
    """``--history``: the newest last, as a log is read."""
    records = opened(terminal.environment).records(limit)
    terminal.result({"exports": [document_of(each) for each in records]})
    if not records:
        terminal.line("no export is noted yet")
        return
    columns = (*left("TIME", "INSTANCE", "FORMAT"), *right("SIZE", "SECONDS"))
    table = Table((*columns, Column("RESULT", fold=True)))
    for each in records:
        table.add(
            words.moment(each.timestamp),
            each.vm_name,
            each.format,
            words.size(each.total_size) if each.success else "",
            f"{each.duration:.1f}",
            each.output_dir if each.success else f"failed: {each.error_message}",
        )
    terminal.table(table)


def clear(terminal: Terminal) -> None:
    """``--clear-history``"""
    count = opened(terminal.environment).clear()
    terminal.result({"removed": count})
    terminal.line(f"{words.count(count, 'export')} forgotten")


def document_of(record: ExportRecord) -> Document:
    """As in the file, with moments as everywhere."""
    return {**record.to_document(), "timestamp": words.moment(record.timestamp)}
