from __future__ import annotations

from hypersdk import Interrupted, Progress
from hypersdk.cli.hyperexport.screen.board import Board
from hypersdk.cli.hyperexport.screen.port import Outcome, Planned
from tests.cli.hyperexport.screen.stage import row

WEB, DB = row("web", 0), row("db", 1)
MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def board(clock: Clock) -> Board:
    return Board([Planned(row=WEB, size=100 * MIB), Planned(row=DB, size=50 * MIB)], clock)


def test_nothing_yet() -> None:
    look = board(Clock()).look()
    assert (look.done, look.total, look.waiting, look.eta, look.rate) == (0, 150 * MIB, 2, None, 0)


def test_added_up_over_disks_and_instances() -> None:
    clock = Clock()
    made = board(clock)
    made.look()
    clock.now += 5
    made.report(WEB, Progress("web/a", 20 * MIB, 60 * MIB, rate=4.0 * MIB))
    made.report(WEB, Progress("web/b", 5 * MIB, 40 * MIB, rate=1.0 * MIB))
    look = made.look()
    assert (look.done, look.total, look.waiting) == (25 * MIB, 150 * MIB, 1)
    assert look.rate == 5 * MIB
    assert look.eta == 25  # 125 MiB left, 25 MiB in five seconds
    assert look.seconds == 5
    assert [(of.instance.name, each.task) for of, each in look.running] == [
        ("web", "web/a"),
        ("web", "web/b"),
    ]


def test_the_pace_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    made = board(clock)
    for done in (0, 60, 61, 62, 63):
        made.report(WEB, Progress("web/a", done * MIB, 100 * MIB))
        look = made.look()
        clock.now += 10
    assert look.eta is not None
    assert 800 < look.eta < 900  # 87 MiB at 0.1 MiB/s, though it had been fast


def test_what_is_settled_counts_as_done() -> None:
    made = board(Clock())
    made.report(WEB, Progress("web/a", 10 * MIB, 100 * MIB))
    made.report(DB, Progress("db/a", 10 * MIB, 50 * MIB, finished=True))
    made.settle(Outcome(row=DB, size=9))
    made.settle(Outcome(row=WEB, error=Interrupted("cancelled")))
    look = made.look()
    assert look.done == look.total == 150 * MIB
    assert look.running == ()
    assert (look.failed, look.waiting, look.eta) == (1, 0, None)
    assert [each.row for each in made.outcomes] == [WEB, DB]  # in the order of the plan


def test_tasks_that_are_larger_than_the_plan() -> None:
    made = board(Clock())
    made.report(WEB, Progress("web/a", 100 * MIB, 100 * MIB, finished=True))
    made.report(WEB, Progress("web/verify", 30 * MIB, 80 * MIB))
    look = made.look()
    assert (look.done, look.total) == (130 * MIB, 230 * MIB)
    assert [each.task for _, each in look.running] == ["web/verify"]
