"""How far a batch is: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from hypersdk import BatchResult, Ending
from hypersdk.cli.progress import LINE_EVERY
from hypersdk.cli.terminal import Terminal

_BAR = 30


@contextmanager
def counting(terminal: Terminal, task: str, total: int) -> Iterator[Callable[[BatchResult], None]]:
    """Receives each result as it comes, from the threads of the batch."""
    if terminal.quiet:
        yield lambda _: None
    elif not terminal.err.is_terminal:
        yield Lines(terminal.note, task, total)
    else:
        bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_BAR),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}", markup=False),
            console=terminal.err,
            transient=True,  # the table says it all when it is over
        )
        with bars:
            yield Bar(bars, bars.add_task(task, total=total, failed=""))


class Bar:
    """One bar for the batch."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task
        self._failed = 0

    def __call__(self, result: BatchResult) -> None:
        self._failed += result.ending is Ending.FAILED
        self._bars.update(self._task, advance=1, failed=_failed(self._failed))


class Lines:
    """Whole lines for logs, and none for what is quickly done."""

    def __init__(
        self,
        write: Callable[[str], None],
        task: str,
        total: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._task = task
        self._total = total
        self._clock = clock
        self._due = clock() + LINE_EVERY
        self._done = self._failed = 0

    def __call__(self, result: BatchResult) -> None:
        self._done += 1
        self._failed += result.ending is Ending.FAILED
        if self._clock() >= self._due:
            self._due = self._clock() + LINE_EVERY
            failed = _failed(self._failed)
            self._write(
                f"{self._task}: {self._done} of {self._total}" + (f", {failed}" if failed else "")
            )


def _failed(number: int) -> str:
    return f"{number} failed" if number else ""
