"""What each step looks like, in a small terminal and in a large one.

After a change that is meant: ``pytest --snapshot-update`` on this file, and look at the pictures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from hypersdk import HypervisorError, Progress
from hypersdk.cli.hyperexport.screen.app import ExportApp
from hypersdk.cli.hyperexport.screen.choosing import ChoosingScreen
from hypersdk.cli.hyperexport.screen.dialogs import Asking
from hypersdk.cli.hyperexport.screen.ending import EndScreen
from hypersdk.cli.hyperexport.screen.how import HowScreen
from hypersdk.cli.hyperexport.screen.port import Choices
from hypersdk.cli.hyperexport.screen.watching import WatchScreen
from tests.cli.hyperexport.screen.stage import (
    GIB,
    Stage,
    arrived,
    at,
    confirmed,
    critical,
    text,
    until,
    warning,
)

MIB = 1 << 20
Play = Callable[[Pilot[Any]], Awaitable[None]]


def stage(**facts: Any) -> Stage:
    made = Stage(
        concerns={"db-00001": (critical(), warning()), "mail-00002": (warning(),)},
        failing={
            "mail-00002": HypervisorError(
                "reading disk scsi0-1: the lease expired", hint="Look at the host's log."
            )
        },
        reports=(
            Progress("web-00000/scsi0-0", 5 * GIB, 20 * GIB, rate=80.0 * MIB, eta=192.0),
            Progress("mail-00002/scsi0-0", 21 * GIB, 22 * GIB, rate=20.0 * MIB, eta=51.0),
        ),
        **facts,
    )
    made.listing.set()
    made.answering.set()
    return made


async def _listed(pilot: Pilot[Any]) -> None:
    await arrived(pilot)
    pilot.app.screen.query_one("#search", Input).cursor_blink = False


async def choosing(pilot: Pilot[Any]) -> None:
    await _listed(pilot)
    await pilot.press(*"w0")
    await pilot.press("down", "space", "space", "down")
    await until(pilot, lambda: "esx-1.lab" in text(pilot.app, "#details"))


async def chosen(pilot: Pilot[Any]) -> None:
    await _listed(pilot)
    await pilot.press("down", "space", "space", "space")


async def how(pilot: Pilot[Any]) -> None:
    await chosen(pilot)
    await pilot.press("enter")
    await at(pilot, HowScreen)


async def confirming(pilot: Pilot[Any]) -> None:
    await chosen(pilot)
    await confirmed(pilot)


async def _begun(pilot: Pilot[Any]) -> None:
    await confirming(pilot)
    await pilot.press("l", "f2")


async def watching(pilot: Pilot[Any]) -> None:
    await _begun(pilot)
    await at(pilot, WatchScreen)
    await until(pilot, lambda: "scsi0-0" in text(pilot.app, "#running"))


async def asking(pilot: Pilot[Any]) -> None:
    await watching(pilot)
    await pilot.press("escape")
    await at(pilot, Asking)


async def ended(pilot: Pilot[Any]) -> None:
    stage_: Any = pilot.app
    stage_._port.exporting.set()
    await _begun(pilot)
    await at(pilot, EndScreen)


async def helped(pilot: Pilot[Any]) -> None:
    await _listed(pilot)
    await pilot.press("f1")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize(
    "play",
    [choosing, how, confirming, watching, asking, ended, helped],
    ids=lambda play: play.__name__,
)
def test_picture(snap_compare: Any, play: Play, size: tuple[int, int]) -> None:
    trouble = "esx-2.lab: no connection" if play is choosing else ""
    app = ExportApp(stage(trouble=trouble), Choices(), clock=lambda: 0.0)
    assert snap_compare(app, run_before=play, terminal_size=size)


def test_nothing_there(snap_compare: Any) -> None:
    empty = Stage(listed=(), trouble="esx-2.lab: wrong user or password").open()

    async def play(pilot: Pilot[Any]) -> None:
        await _listed(pilot)
        assert isinstance(pilot.app.screen, ChoosingScreen)

    assert snap_compare(ExportApp(empty, Choices()), run_before=play, terminal_size=(80, 24))
