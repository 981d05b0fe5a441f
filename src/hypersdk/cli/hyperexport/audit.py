"""``--audit-log``: what was done, a line of JSON each, for those who have to know later."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hypersdk import InvalidInput
from hypersdk.cli.hyperexport.outcomes import Outcome, Run
from hypersdk.observe.redact import redact


class AuditLog:
    """One file, which nobody else can read. Opened before anything is done: without a log that was
    asked for, nothing is."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidInput when it cannot be written to."""
        self._path = path
        try:
            self._append([])
        except OSError as error:
            raise InvalidInput(
                f"cannot write to the audit log {path}: {error.strerror}",
                hint="Name a file in a folder that is there.",
            ) from error

    def began(self, run: Run) -> None:
        self._write("export_start", run, instances=list(run.names), place=run.place)

    def settled(self, run: Run, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._write(
                "export_failed",
                run,
                instance=outcome.name,
                error=type(outcome.error).__name__,
                message=outcome.error.message,
            )
            return
        self._write(
            "export_complete",
            run,
            instance=outcome.name,
            place=outcome.place,
            size=outcome.size,
            files=outcome.files,
            encrypted=outcome.encrypted,
            uploaded=outcome.uploaded,
            seconds=round(outcome.seconds, 3),
        )

    def ended(self, run: Run, outcomes: Sequence[Outcome]) -> None:
        failed = sum(each.error is not None for each in outcomes)
        self._write("run_end", run, total=len(run.names), settled=len(outcomes), failed=failed)

    def _write(self, event: str, run: Run, **fields: object) -> None:
        record = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "uid": os.getuid(),
            "host": platform.node(),
            "process": os.getpid(),
            "hypervisor": run.hypervisor,
            "format": run.format,
            **fields,
        }
        self._append([json.dumps(redact(record), ensure_ascii=False) + "\n"])

    def _append(self, lines: Sequence[str]) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(descriptor, "a", encoding="utf-8") as file:
            file.writelines(lines)
