"""Jobs while they run: bars on a terminal, lines elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from hypersdk.cli.hyperctl.showing import amounts, phase
from hypersdk.cli.tables import printable
from hypersdk.cli.terminal import Terminal
from hypersdk.client.jobs import ENDED
from hypersdk.contract.jobs import JobRecord

#: Columns of a terminal that has this many or more: of the name, of the bar.
_WIDTHS = {100: (32, 24), 0: (20, 12)}
_COLORS = {"running": "", "completed": "green", "failed": "red", "cancelled": "yellow"}
#: In which order jobs are shown that do not all fit on the screen.
_FIRST = {"running": 0, "paused": 1, "failed": 2, "cancelled": 3, "pending": 4, "scheduled": 5}
#: Lines of the screen that are left to others: the line typed, and how many there are.
_RESERVED = 3


class Bars:
    """A bar per job on a terminal; elsewhere a line when the state or the phase of one changes."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._told: dict[str, tuple[str, str]] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars: _Counted | None = None
        if terminal.err.is_terminal and not terminal.quiet:
            self._bars = _drawn(terminal)

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._bars:
            self._bars.stop()

    def show(self, jobs: Sequence[JobRecord]) -> None:
        if self._bars is None:
            for job in jobs:
                self._tell(job)
            return
        shown = _fitting(jobs, self._bars.console.height - _RESERVED)
        for job in jobs:
            self._draw(self._bars, job, visible=job.id in shown)
        self._bars.counted = _counted(jobs)

    def _draw(self, bars: Progress, job: JobRecord, *, visible: bool) -> None:
        shown: dict[str, Any] = {"said": _said(job), "visible": visible}
        done = 100.0 if job.state == "completed" else job.progress.percent or 0.0
        if job.id not in self._tasks:
            name = printable(job.name or job.id)
            self._tasks[job.id] = bars.add_task(name, total=100.0, **shown)
        bars.update(self._tasks[job.id], completed=done, **shown)

    def _tell(self, job: JobRecord) -> None:
        """The end of a job is said by whoever followed it."""
        now = (job.state, job.progress.phase)
        if job.state not in ENDED and self._told.get(job.id) != now:
            self._told[job.id] = now
            about = ", ".join(each for each in (phase(job), amounts(job)) if each)
            self._terminal.note(f"{job.id} {job.state} {about}".rstrip())


class _Counted(Progress):
    """With a line below the bars."""

    counted = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.counted:
            yield Text(self.counted, style="dim")


def _drawn(terminal: Terminal) -> _Counted:
    width = terminal.err.width
    name, bar = next(widths for least, widths in _WIDTHS.items() if width >= least)
    return _Counted(
        TextColumn("{task.description}", markup=False, table_column=_column(width=name)),
        BarColumn(
            bar_width=bar,
            complete_style="cyan",
            finished_style="green",
            table_column=_column(width=bar),
        ),
        TextColumn("{task.percentage:>4.0f}%", markup=False, table_column=_column(width=5)),
        TextColumn("{task.fields[said]}", table_column=_column(ratio=1)),
        console=terminal.err,
        refresh_per_second=8,
        expand=True,
    )


def _column(**size: int) -> Column:
    return Column(no_wrap=True, overflow="ellipsis", **size)  # type: ignore[arg-type]


def _said(job: JobRecord) -> str:
    """Markup of rich: the state, unless it runs; what it does, or why it failed."""
    if job.state == "running":
        return _plain(", ".join(each for each in (amounts(job), phase(job)) if each))
    color = _COLORS.get(job.state, "dim")
    error = f": {_plain(job.error.message)}" if job.error is not None else ""
    return f"[{color}]{job.state}[/{color}]{error}"


def _plain(text: str) -> str:
    """Brackets are no markup."""
    return printable(text).replace("[", r"\[")


def _fitting(jobs: Sequence[JobRecord], most: int) -> set[str]:
    """Ids of those that are shown on a screen of so many lines."""
    if len(jobs) <= most:
        return {job.id for job in jobs}
    ordered = sorted(jobs, key=lambda job: _FIRST.get(job.state, len(_FIRST)))
    return {job.id for job in ordered[: max(most, 1)]}


def _counted(jobs: Sequence[JobRecord]) -> str:
    """``12 jobs: 4 running, 8 completed``; nothing of a single one."""
    if len(jobs) < 2:
        return ""
    numbers = Counter(job.state for job in jobs)
    states = sorted(numbers, key=lambda state: _FIRST.get(state, len(_FIRST)))
    return f"{len(jobs)} jobs: {', '.join(f'{numbers[state]} {state}' for state in states)}"
