from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress as RichProgress

from hypersdk import Progress
from hypersdk.cli.progress import Bars, Lines, Watch

MIB = 1 << 20


def at(done: int, *, finished: bool = False, task: str = "web/vda", stored: int = 0) -> Progress:
    return Progress(
        task=task,
        done=done * MIB,
        total=100 * MIB,
        read=done * MIB,
        stored=stored * MIB,
        seconds=3.0,
        rate=10 * MIB,
        eta=5.0,
        finished=finished,
    )


def lines_of(events: list[tuple[float, Progress]]) -> list[str]:
    written: list[str] = []
    times: Iterator[float] = iter([time for time, _ in events])
    lines = Lines(written.append, clock=lambda: next(times))
    for _, progress in events:
        lines(progress)
    return written


def test_a_line_every_ten_seconds_and_one_at_the_end() -> None:
    assert lines_of(
        [
            (0.0, at(0)),
            (9.0, at(10)),
            (10.0, at(20)),
            (15.0, at(30)),
            (21.0, at(40)),
            (22.0, at(100, finished=True, stored=7)),
        ]
    ) == [
        "web/vda: 20% of 100.0 MiB, read 20.0 MiB, 10.0 MiB/s, 5.0 s left",
        "web/vda: 40% of 100.0 MiB, read 40.0 MiB, 10.0 MiB/s, 5.0 s left",
        "web/vda: done of 100.0 MiB, read 100.0 MiB, stored 7.0 MiB in 3.0 s",
    ]


def test_a_task_that_did_not_end_well_does_not_say_done() -> None:
    assert lines_of([(0.0, at(30, finished=True))]) == [
        "web/vda: ended at 30.0 MiB of 100.0 MiB, read 30.0 MiB in 3.0 s"
    ]


def test_an_empty_disk_is_no_division_by_zero() -> None:
    empty = Progress("web/vda", 0, 0)
    assert lines_of([(0.0, empty), (11.0, empty)]) == ["web/vda: 100% of 0 B, read 0 B, 0 B/s"]


def test_the_watch_adds_up_what_was_stored() -> None:
    watch = Watch(lambda _: None)
    watch(at(10, stored=1))
    watch(at(20, stored=3))
    watch(at(20, stored=4, task="db/vda"))
    assert watch.stored == 7 * MIB


def test_a_bar_per_task() -> None:
    screen = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    with RichProgress(console=screen, auto_refresh=False) as bars:
        show = Bars(bars)
        show(at(10))
        show(at(50, task="db/vda"))
        show(at(100, finished=True))
        show(at(1))  # the same disk once more, as in a second backup
        assert [(task.description, task.percentage) for task in bars.tasks] == [
            ("web/vda", 100.0),
            ("db/vda", 50.0),
            ("web/vda", 1.0),
        ]
