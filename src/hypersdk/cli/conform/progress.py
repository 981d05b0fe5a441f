"""What a run of the kit says while it works, on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from hypersdk.cli.progress import LINE_EVERY
from hypersdk.cli.terminal import Terminal
from hypersdk.conformance.events import CaseEnded, Event, Planned, Sampled, Trouble
from hypersdk.conformance.results import CaseResult, Verdict
from hypersdk.conformance.runner import Watch

_BAR = 30


@contextmanager
def watching(terminal: Terminal) -> Iterator[Watch]:
    """A bar per hypervisor on a terminal, else a line now and then; failures at once in both."""
    if terminal.quiet:
        yield lambda url, event: None  # noqa: ARG005
    elif not terminal.err.is_terminal:
        yield Lines(terminal.note)
    else:
        bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_BAR),
            MofNCompleteColumn(),
            TextColumn("{task.fields[doing]}", markup=False),
            console=terminal.err,
        )
        with bars:
            yield Bars(bars, terminal.note)


class Bars:
    """Called with one event at a time."""

    def __init__(self, bars: Progress, note: Callable[[str], None]) -> None:
        self._bars = bars
        self._note = note
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, url: str, event: Event) -> None:
        match event:
            case Planned(cases):
                self._tasks[url] = self._bars.add_task(url, total=len(cases), doing="")
            case CaseEnded(result):
                self._ended(url, result)
            case Sampled(sample) if url in self._tasks:
                self._bars.update(self._tasks[url], doing=f"measuring {sample.operation}")
            case Trouble(problem):
                self._note(f"{url}: {problem}")
            case _:
                pass

    def _ended(self, url: str, result: CaseResult) -> None:
        if result.verdict is Verdict.FAILED:
            self._note(failed(url, result))
        self._bars.update(self._tasks[url], advance=1, doing=result.case)


class Lines:
    """Failures and problems, and a count every `LINE_EVERY` seconds."""

    def __init__(
        self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._planned: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self._due: dict[str, float] = {}

    def __call__(self, url: str, event: Event) -> None:
        match event:
            case Planned(cases):
                self._planned[url], self._ended[url] = len(cases), 0
                self._due[url] = self._clock() + LINE_EVERY
            case CaseEnded(result):
                self._count(url, result)
            case Trouble(problem):
                self._write(f"{url}: {problem}")
            case _:
                pass

    def _count(self, url: str, result: CaseResult) -> None:
        self._ended[url] += 1
        if result.verdict is Verdict.FAILED:
            self._write(failed(url, result))
        if self._clock() >= self._due[url]:
            self._due[url] = self._clock() + LINE_EVERY
            self._write(f"{url}: {self._ended[url]} of {self._planned[url]} cases")


def failed(url: str, result: CaseResult) -> str:
    """One line."""
    reason = result.reason.partition("\n")[0]
    return f"{url}: FAILED {result.case}: {reason}"
