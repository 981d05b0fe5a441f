"""Jobs while they run: bars on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress

from hypersdk.cli.hyperctl.showing import amounts
from hypersdk.cli.terminal import Terminal
from hypersdk.client.jobs import ENDED
from hypersdk.contract.jobs import JobRecord

_BAR = 30


class Bars:
    """A bar per job on a terminal; elsewhere a line when the state or the phase of one changes."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._told: dict[str, tuple[str, str]] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars: RichProgress | None = None
        if terminal.err.is_terminal and not terminal.quiet:
            self._bars = RichProgress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=_BAR),
                TextColumn("{task.fields[state]:>9}", markup=False),
                TextColumn("{task.fields[amounts]}", markup=False),
                console=terminal.err,
                refresh_per_second=8,
            )

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._bars:
            self._bars.stop()

    def show(self, jobs: Iterable[JobRecord]) -> None:
        for job in jobs:
            if self._bars is None:
                self._tell(job)
            else:
                self._draw(self._bars, job)

    def _draw(self, bars: RichProgress, job: JobRecord) -> None:
        shown: dict[str, Any] = {"state": job.state, "amounts": amounts(job)}
        if job.id not in self._tasks:
            self._tasks[job.id] = bars.add_task(job.name or job.id, total=100.0, **shown)
        done = 100.0 if job.state == "completed" else job.progress.percent or 0.0
        bars.update(self._tasks[job.id], completed=done, **shown)

    def _tell(self, job: JobRecord) -> None:
        now = (job.state, job.progress.phase)
        if self._told.get(job.id) != now:
            self._told[job.id] = now
            about = "" if job.state in ENDED else amounts(job)
            self._terminal.note(f"{job.id} {job.state} {about}".rstrip())
