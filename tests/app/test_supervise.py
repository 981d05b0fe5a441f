from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hypersdk.app import supervise
from hypersdk.app.supervise import Supervisor

Told = list[tuple[str, Mapping[str, object]]]
#: Says that it is there, and sleeps.
_SLEEP = "import sys,time;open(sys.argv[1],'a').write('x');time.sleep(600)"
#: The same; obeys the second SIGTERM only.
_STUBBORN = """
import signal, sys, time
count = [0]
def end(number, frame):
    count[0] += 1
    if count[0] > 1:
        sys.exit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
open(sys.argv[1], "a").write("x")
while True:
    time.sleep(0.05)
"""
#: Ends when its standard input does.
_LISTENER = "import sys;open(sys.argv[1],'a').write('x');sys.stdin.read()"


def child(code: str, note: Path) -> list[str]:
    return [sys.executable, "-c", code, str(note)]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(0.01)


async def lives(note: Path, count: int = 1) -> None:
    await until(lambda: note.exists() and len(note.read_text()) >= count)


def test_one_that_dies_is_begun_again_and_told(tmp_path: Path) -> None:
    told: Told = []

    async def run() -> None:
        supervisor = Supervisor(
            child(_SLEEP, tmp_path / "n"), tell=lambda *what: told.append(what), first_wait=0.01
        )
        running = asyncio.create_task(supervisor.run())
        for count in (1, 2):
            await lives(tmp_path / "n", count)
            # It may write before we were told that it began.
            await until(lambda: supervisor.pid is not None)
            pid = supervisor.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        await lives(tmp_path / "n", 3)
        await supervisor.drain(30)
        await running
        assert supervisor.pid is None
        assert supervisor.deaths == 2

    asyncio.run(run())
    assert [(name, data["status"]) for name, data in told] == [("worker.died", "SIGKILL")] * 2


def test_one_that_cannot_begin_is_tried_with_longer_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(supervise, "LONGEST_WAIT", 0.08)
    told: Told = []

    async def run() -> None:
        supervisor = Supervisor(
            [sys.executable, "-S", "-c", "raise SystemExit(3)"],
            tell=lambda *what: told.append(what),
            first_wait=0.02,
        )
        running = asyncio.create_task(supervisor.run())
        await until(lambda: len(told) >= 4)
        await supervisor.drain(1)
        await running

    asyncio.run(run())
    assert [data["wait"] for _, data in told][:4] == [0.02, 0.04, 0.08, 0.08]
    assert told[0][1]["status"] == "exit 3"


def test_a_drained_one_gets_its_time_and_a_second_signal_ends_it(tmp_path: Path) -> None:
    async def run() -> None:
        supervisor = Supervisor(child(_STUBBORN, tmp_path / "n"), tell=lambda *what: None)
        running = asyncio.create_task(supervisor.run())
        await lives(tmp_path / "n")
        draining = asyncio.create_task(supervisor.drain(60))
        await asyncio.sleep(0.3)
        assert not draining.done()
        async with asyncio.timeout(30):
            while not draining.done():
                supervisor.hurry()
                await asyncio.sleep(0.05)
        await running

    asyncio.run(run())


def test_one_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "_GRACE", 0.1)

    async def run() -> None:
        supervisor = Supervisor(child(_STUBBORN, tmp_path / "n"), tell=lambda *what: None)
        running = asyncio.create_task(supervisor.run())
        await lives(tmp_path / "n")
        await asyncio.wait_for(supervisor.drain(0.1), 30)
        await asyncio.wait_for(running, 30)

    asyncio.run(run())


def test_it_sees_its_standard_input_end_with_us_and_nothing_of_systemd(tmp_path: Path) -> None:
    code = (
        "import os,sys;open(sys.argv[1],'w').write(os.environ.get('NOTIFY_SOCKET','none'));"
        "sys.stdin.read()"
    )

    async def run() -> None:
        os.environ["NOTIFY_SOCKET"] = "/run/x"
        try:
            supervisor = Supervisor(child(code, tmp_path / "n"), tell=lambda *what: None)
            running = asyncio.create_task(supervisor.run())
            await lives(tmp_path / "n", 4)
        finally:
            del os.environ["NOTIFY_SOCKET"]
        process = supervisor._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        supervisor._ending.set()
        assert await asyncio.wait_for(process.wait(), 30) == 0
        await running

    asyncio.run(run())
    assert (tmp_path / "n").read_text() == "none"
