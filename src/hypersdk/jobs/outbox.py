"""What runs say in between, kept until the next write that serves all of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from hypersdk.jobs.claims import Report, RunName
from hypersdk.model.jobs import JobLog, JobProgress

#: Lines of one run that wait for a database which is away; the oldest go first.
_LINES_MOST = 10_000


class Outbox:
    """Of one run. Safe in threads; never waits for the database."""

    def __init__(self, run: RunName) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._progress = JobProgress()
        self._told = JobProgress()
        self._lines: deque[JobLog] = deque(maxlen=_LINES_MOST)

    def show(self, progress: JobProgress) -> None:
        with self._lock:
            self._progress = progress

    def say(self, line: JobLog) -> None:
        with self._lock:
            self._lines.append(line)

    def take(self) -> Report | None:
        """What is new since the last time; None: nothing."""
        with self._lock:
            changed = self._progress != self._told
            if not changed and not self._lines:
                return None
            self._told = self._progress
            lines = tuple(self._lines)
            self._lines.clear()
        return Report(self._run, self._told if changed else None, lines)

    def give_back(self, report: Report) -> None:
        """It could not be stored: it waits for the next time."""
        with self._lock:
            if report.progress is not None:
                self._told = JobProgress(phase="\0")  # unlike any other
            kept = [*report.logs, *self._lines]
            self._lines = deque(kept, maxlen=_LINES_MOST)


def reports(outboxes: Iterable[Outbox]) -> list[tuple[Outbox, Report]]:
    """All that is new."""
    return [(each, report) for each in outboxes if (report := each.take()) is not None]
