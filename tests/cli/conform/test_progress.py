"""What a run says while it works."""

from __future__ import annotations

from hypersdk.cli.conform.progress import Lines, watching
from hypersdk.cli.progress import LINE_EVERY
from hypersdk.cli.terminal import Terminal
from hypersdk.conformance.events import CaseEnded, Planned, PlannedCase, Sampled, Trouble
from hypersdk.conformance.results import Verdict
from tests.cli.conftest import Stream
from tests.conformance.strange import case, samples


def test_lines() -> None:
    written: list[str] = []
    now = 0.0
    lines = Lines(written.append, clock=lambda: now)
    lines("mock://a", Planned(tuple(PlannedCase(f"a.{n}", "a", "A.") for n in range(4))))
    lines("mock://a", CaseEnded(case("a.0")))
    assert written == []
    lines("mock://a", CaseEnded(case("a.1", Verdict.FAILED, reason="it was wrong\nat length")))
    now += LINE_EVERY
    lines("mock://a", CaseEnded(case("a.2")))
    lines("mock://a", CaseEnded(case("a.3")))
    lines("mock://a", Trouble("it is gone"))
    assert written == [
        "mock://a: FAILED a.1: it was wrong",
        "mock://a: 3 of 4 cases",
        "mock://a: it is gone",
    ]


def test_bars_on_a_terminal() -> None:
    """They are drawn on stderr; a failure gets a line of its own at once."""
    out, err = Stream(), Stream(tty=True)
    terminal = Terminal(Stream(), out, err, {"TERM": "xterm"})
    with watching(terminal) as watch:
        watch("mock://a", Planned((PlannedCase("a.0", "a", "A."), PlannedCase("a.1", "a", "A."))))
        watch("mock://a", CaseEnded(case("a.0")))
        watch("mock://a", CaseEnded(case("a.1", Verdict.FAILED, reason="it was wrong")))
        watch("mock://a", Sampled(samples("create", 0.1)[0]))
    assert out.getvalue() == ""
    assert "mock://a: FAILED a.1: it was wrong" in err.getvalue()
    assert "2/2" in err.getvalue()


def test_quiet() -> None:
    err = Stream()
    terminal = Terminal(Stream(), Stream(), err, {}, quiet=True)
    with watching(terminal) as watch:
        watch("mock://a", Trouble("it is gone"))
    assert err.getvalue() == ""
