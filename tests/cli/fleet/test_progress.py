from __future__ import annotations

from hypersdk import BatchResult, Ending, FleetInstance, Instance, InstanceState, NotFound
from hypersdk.cli.fleet.progress import Lines
from tests.cli.test_on_a_terminal import Screen
from tests.flows.fleet.labs import Labs

TARGET = FleetInstance("a", Instance("1", "web", InstanceState.STOPPED, 1, 1))


def test_a_line_every_ten_seconds() -> None:
    now = [0.0]
    lines: list[str] = []
    tell = Lines(lines.append, "start", 5, clock=lambda: now[0])
    for second, ending in ((1, Ending.SUCCEEDED), (11, Ending.SUCCEEDED), (12, Ending.FAILED)):
        now[0] = second
        tell(BatchResult(TARGET, ending))
    now[0] = 25
    tell(BatchResult(TARGET, Ending.FAILED, error=NotFound("gone")))
    assert lines == ["start: 2 of 5", "start: 4 of 5, 2 failed"]


def test_a_bar_on_a_terminal(labs: Labs) -> None:
    labs.add("slow", *(f"i{number}" for number in range(4)), config="[latency]\n'*' = 0.2\n")
    screen = Screen("fleet", "start", "--all", "-H", labs.url("slow"), "--parallel", "1")
    assert screen.end() == 0
    assert "━" in screen.text, "a bar"
    assert "4/4" in screen.text or "3/4" in screen.text
    assert "Started 4 instances." in screen.text
