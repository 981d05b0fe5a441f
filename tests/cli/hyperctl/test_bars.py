"""Bars of jobs that run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property

import pytest
from rich.console import Console

from hypersdk.cli.hyperctl.bars import Bars
from hypersdk.cli.terminal import Terminal
from hypersdk.contract.jobs import JobErrorRecord, JobRecord, JobStateWord, ProgressRecord
from tests.cli.conftest import Stream

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MIB = 1 << 20


def job(name: str, state: JobStateWord = "running", done: int = 0, error: str = "") -> JobRecord:
    progress = ProgressRecord(
        phase="copying", subject=f"{name}/vda", done=done * MIB, total=100 * MIB,
        percent=float(done), rate=2.0 * MIB, eta=(100 - done) / 2,
    )  # fmt: skip
    return JobRecord(
        id=f"01J{name}", kind="backup", name=f"backup of {name}", state=state, request={},
        created=NOW, updated=NOW, progress=progress,
        error=JobErrorRecord(kind="NotFound", message=error) if error else None,
    )  # fmt: skip


class Screen(Terminal):
    """A terminal of a size of its own."""

    @cached_property
    def err(self) -> Console:
        return Console(
            file=self.stderr, width=100, height=8, force_terminal=True, color_system=None,
            highlight=False, markup=False, emoji=False, legacy_windows=False,
        )  # fmt: skip


def drawn(jobs: Sequence[JobRecord]) -> list[str]:
    """What is on the screen in the end."""
    err = Stream(tty=True)
    bars = Bars(Screen(Stream(), Stream(), err, {}))
    with bars:
        bars.show(jobs)
        assert bars._bars is not None
        found = io.StringIO()
        console = Console(file=found, width=100, height=8)
        console.print(bars._bars.get_renderable())
    return [line.rstrip() for line in found.getvalue().splitlines()]


def test_each_state() -> None:
    lines = drawn(
        [
            job("web", done=50),
            job("db", "completed", 100),
            job("mail", "failed", 20, "the disk [vda] is full"),
            job("x" * 60, "pending"),
        ]
    )
    web, db, mail, long, counted = lines
    assert web.startswith("backup of web  ")
    assert web.endswith("  50% 50.0 MiB of 100.0 MiB, 2.0 MiB/s, 2…")
    assert db.endswith(" 100% completed")
    assert mail.endswith("  20% failed: the disk [vda] is full")
    assert long.startswith("backup of xxxxxxxxxxxxxxxxxxxxx… ")
    assert long.endswith("   0% pending")
    assert counted == "4 jobs: 1 running, 1 failed, 1 pending, 1 completed"


def test_more_than_the_screen_has_lines() -> None:
    """What runs is seen, what waits or ended is counted."""
    jobs = [
        *(job(f"done-{at}", "completed", 100) for at in range(20)),
        *(job(f"runs-{at}", done=at) for at in range(3)),
        *(job(f"waits-{at}", "pending") for at in range(50)),
    ]
    lines = drawn(jobs)
    assert len(lines) == 6
    assert sum("runs-" in line for line in lines) == 3
    assert lines[-1] == "73 jobs: 3 running, 50 pending, 20 completed"


def test_one_is_not_counted() -> None:
    assert len(drawn([job("web", done=1)])) == 1


@pytest.mark.parametrize("quiet", [False, True])
def test_lines_where_there_is_no_terminal(quiet: bool) -> None:
    err = Stream()
    with Bars(Terminal(Stream(), Stream(), err, {}, quiet=quiet)) as bars:
        bars.show([job("web", "pending"), job("db", done=1)])
        bars.show([job("web", "pending"), job("db", done=2)])
        bars.show([job("web", done=3), job("db", "completed", 100)])
    assert err.getvalue().splitlines() == (
        []
        if quiet
        else [
            "01Jweb pending copying web/vda, 0 B of 100.0 MiB",
            "01Jdb running copying db/vda, 1.0 MiB of 100.0 MiB, 2.0 MiB/s, 50 s left",
            "01Jweb running copying web/vda, 3.0 MiB of 100.0 MiB, 2.0 MiB/s, 48 s left",
        ]
    )
