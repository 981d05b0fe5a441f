"""Progress on stderr: bars on a terminal, a line every ten seconds elsewhere, nothing if quiet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn
from rich.progress import Progress as RichProgress

from hypersdk import Progress, Reporter
from hypersdk.cli import words
from hypersdk.cli.terminal import Terminal

#: Columns of a bar.
_BAR = 40
#: Seconds between two lines about a task.
LINE_EVERY = 10.0


class Watch:
    """Receives progress, remembers the last of each task, and hands it on to be shown.

    Called from worker threads.
    """

    def __init__(self, show: Reporter) -> None:
        self._show = show
        self._lock = threading.Lock()
        self._last: dict[str, Progress] = {}

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            self._last[progress.task] = progress
            self._show(progress)

    @property
    def stored(self) -> int:
        """Bytes stored by all tasks until now."""
        return sum(progress.stored for progress in self._last.values())


@contextmanager
def watching(terminal: Terminal) -> Iterator[Watch]:
    """Show what long work says about itself, in the way that suits the terminal.

    Meanwhile nothing may be written to stdout: it may be the same screen as that of the bars.
    """
    if terminal.quiet:
        yield Watch(lambda _: None)
    elif not terminal.err.is_terminal:
        yield Watch(Lines(terminal.note))
    else:
        with _bars(terminal) as bars:
            yield Watch(Bars(bars))


def _bars(terminal: Terminal) -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=_BAR),
        TaskProgressColumn(),
        TextColumn("{task.fields[amounts]}", markup=False, justify="right"),
        console=terminal.err,
        refresh_per_second=8,
    )


class Bars:
    """One bar per task."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, progress: Progress) -> None:
        task = self._tasks.get(progress.task)
        if task is None:
            task = self._bars.add_task(progress.task, total=progress.total, amounts="")
            self._tasks[progress.task] = task
        self._bars.update(
            task, completed=progress.done, total=progress.total, amounts=_amounts(progress)
        )
        if progress.finished:  # the next task of this name gets a bar of its own
            del self._tasks[progress.task]


def _amounts(progress: Progress) -> str:
    read = words.size(progress.read)
    if progress.finished:
        return f"{read} in {words.duration(progress.seconds)}"
    left = "" if progress.eta is None else f", {words.duration(progress.eta)} left"
    return f"{read}, {words.size(progress.rate)}/s{left}"


class Lines:
    """Whole lines for logs: one every `LINE_EVERY` seconds per task, and one at its end."""

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._due: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        now = self._clock()
        if progress.finished:
            self._due.pop(progress.task, None)
            self._write(_ended(progress))
        elif now >= self._due.setdefault(progress.task, now + LINE_EVERY):
            self._due[progress.task] = now + LINE_EVERY
            self._write(_running(progress))


def _running(progress: Progress) -> str:
    share = 100 * progress.done // progress.total if progress.total else 100
    return f"{progress.task}: {share}% of {words.size(progress.total)}, read {_amounts(progress)}"


def _ended(progress: Progress) -> str:
    all_done = progress.done >= progress.total
    state = "done" if all_done else f"ended at {words.size(progress.done)}"
    stored = f", stored {words.size(progress.stored)}" if progress.stored else ""
    return (
        f"{progress.task}: {state} of {words.size(progress.total)}, "
        f"read {words.size(progress.read)}{stored} in {words.duration(progress.seconds)}"
    )
