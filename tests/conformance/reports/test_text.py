"""The summary in plain text."""

from __future__ import annotations

from hypersdk.conformance.comparison import regressions
from hypersdk.conformance.reports.text import text
from hypersdk.conformance.results import Verdict
from tests.conformance.strange import case, example, made_run, result, samples

EXPECTED = """\
Conformance of 2 hypervisors, 2026-11-21 02:00 UTC, run 01JD0000000000000000000000

docker  docker:///lab, docker 1.2
    1 passed, 1 failed, 1 skipped, in 12 s
    FAILED lifecycle.starts  (250 ms)
        What lifecycle.starts says.
        it did not
        left behind: container x
    skipped 1: no memory
                          n    median       p95       p99       max  expected
    create                3    1.00 s    1.09 s    1.10 s    1.10 s  100 to 500 ms, slower
qmp  qmp:///lab
    0 passed, 0 failed, 0 skipped, in 12 s
    PROBLEM: cannot be reached: nobody listens

1 passed, 1 failed, 1 skipped; 1 of 3 cases failed, in 13 s.
"""


def test_the_whole_text() -> None:
    run = made_run(
        result(
            "docker",
            case("snapshots.reverts"),
            case("lifecycle.starts", Verdict.FAILED, reason="it did not", leaks=("container x",)),
            case("snapshots.memory", Verdict.SKIPPED, reason="no memory"),
            samples=samples("create", 0.9, 1.0, 1.1),
        ),
        result("qmp", problem="cannot be reached: nobody listens"),
    )
    assert text(run).replace("\n\nqmp", "\nqmp") == EXPECTED


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert "\x1b" not in text(example())
    assert "\x00" not in text(example())


def test_regressions_are_said() -> None:
    before = made_run(result("mock", samples=samples("create", 0.10, 0.11, 0.12)))
    now = made_run(result("mock", samples=samples("create", 0.30, 0.33, 0.36)))
    said = text(now, regressions(now, before))
    assert "SLOWER mock create: 110 ms before, 330 ms now (+200%)" in said


def test_a_run_of_nothing_does_not_look_like_success() -> None:
    run = made_run(result("mock", case("a.b", Verdict.SKIPPED, reason="no")))
    assert text(run).endswith("0 passed, 0 failed, 1 skipped; nothing could run, in 13 s.\n")
