from __future__ import annotations

from pathlib import Path

from hypersdk.drivers.qmp import eventlog
from tests.drivers.qmp.conftest import Place

_STAMP = '"timestamp": {"seconds": 1795252775, "microseconds": 482588}'


def test_only_whole_events_count() -> None:
    text = f'{{"return": {{}}}}\n{{{_STAMP}, "event": "STOP"}}\n{{"event": "TORN"'.encode()
    assert [report.name for report in eventlog.parsed(text)] == ["STOP"]


def test_a_log_tells_an_orderly_end(place: Place, tmp_path: Path) -> None:
    assert not eventlog.was_greeted(tmp_path)
    place.running()
    run = place.run_folder()
    assert eventlog.was_greeted(run)
    assert not eventlog.ended_orderly(run)
    with place.monitor() as monitor:
        monitor.ask("quit")
    while place.pids():
        pass
    assert eventlog.ended_orderly(run)
