"""The whole way over the screen, by keyboard and by mouse."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Checkbox, Input, Select

from hypersdk import HyperSDKError, HypervisorError, Interrupted, Progress
from hypersdk.cli.hyperexport.screen.app import ExportApp
from hypersdk.cli.hyperexport.screen.choosing import ChoosingScreen
from hypersdk.cli.hyperexport.screen.confirming import ConfirmScreen
from hypersdk.cli.hyperexport.screen.dialogs import Asking, Help
from hypersdk.cli.hyperexport.screen.ending import EndScreen
from hypersdk.cli.hyperexport.screen.how import HowScreen
from hypersdk.cli.hyperexport.screen.port import Choices
from hypersdk.cli.hyperexport.screen.rows import RowList
from hypersdk.cli.hyperexport.screen.watching import WatchScreen
from tests.cli.hyperexport.screen.stage import (
    GIB,
    Stage,
    arrived,
    at,
    confirmed,
    critical,
    listed,
    row,
    rows,
    text,
    until,
    warning,
)

Play = Callable[[Pilot[Any]], Awaitable[None]]
Guide = Pilot[Any]


def played(
    stage: Stage, play: Play, *, size: tuple[int, int] = (80, 24), choices: Choices | None = None
) -> ExportApp:
    """The application after a person did what ``play`` does."""
    app = ExportApp(stage, choices or Choices())

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await play(pilot)

    asyncio.run(run())
    return app


def test_the_whole_way_by_keyboard() -> None:
    stage = Stage().open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press(*"web4", "enter")
        await until(pilot, lambda: listed(pilot).has_focus)
        await pilot.press("space", "space")
        assert "2 chosen" in text(pilot.app, "#title")
        await confirmed(pilot)
        await pilot.press("f2")
        await at(pilot, EndScreen)
        assert text(pilot.app, ".title").startswith("Done · 2 exported")
        await pilot.press("q")

    app = played(stage, play)
    ((chosen, choices),) = stage.asked("export")
    assert [each.instance.name for each in chosen] == ["web-00004", "web-00024"]
    assert choices == Choices()
    assert app.return_value is not None
    assert [outcome.error for outcome in app.return_value] == [None, None]


def test_the_whole_way_by_mouse() -> None:
    stage = Stage().open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.click(RowList, offset=(10, 3))
        highlighted = listed(pilot).highlighted
        assert highlighted is not None
        assert highlighted.instance.name == "build-00003"
        assert listed(pilot).marked == ()
        await pilot.click(RowList, offset=(1, 1))
        assert [each.instance.name for each in listed(pilot).marked] == ["db-00001"]
        await pilot.press("enter")
        await at(pilot, HowScreen)
        await pilot.click("#verify")
        await pilot.click("#next")
        await at(pilot, ConfirmScreen)
        await until(pilot, lambda: not pilot.app.screen.query_one("#go", Button).disabled)
        await pilot.click("#go")
        await at(pilot, EndScreen)
        await pilot.click("#leave")

    app = played(stage, play)
    ((_, choices),) = stage.asked("export")
    assert choices.verify
    assert app.return_value is not None


def test_no_call_is_made_on_the_thread_that_draws() -> None:
    stage = Stage().open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await until(pilot, lambda: stage.asked("details"))
        await pilot.press("down")
        await confirmed(pilot)
        await pilot.press("f2")
        await at(pilot, EndScreen)

    played(stage, play)
    assert {what for what, _ in stage.calls} == {"pages", "details", "plan", "export"}
    assert threading.get_ident() not in stage.threads


# Choosing.


def test_ten_thousand_instances() -> None:
    stage = Stage(listed=rows(10_000))
    stage.answering.set()

    async def play(pilot: Guide) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, ChoosingScreen)
        await until(pilot, lambda: screen.first_rows is not None)
        assert screen.first_rows is not None
        assert screen.first_rows < 2  # although the other pages are held back
        assert "500 instances, more are coming" in text(pilot.app, "#title")
        stage.listing.set()
        await arrived(pilot)
        assert "10,000 instances" in text(pilot.app, "#title")
        began = time.monotonic()
        await pilot.press(*"mail-09998")
        await until(pilot, lambda: len(listed(pilot)._found) == 1)
        assert time.monotonic() - began < 20
        await pilot.press("escape", "down", "end")
        highlighted = listed(pilot).highlighted
        assert highlighted is not None
        assert highlighted.instance.name == "build-09999"
        await pilot.press("a")
        assert "10,000 chosen" in text(pilot.app, "#title")
        await pilot.press("n")
        assert "chosen" not in text(pilot.app, "#title")

    played(stage, play)


def test_marks_stay_while_the_search_changes() -> None:
    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press(*"db-00001", "enter", "space", "slash")
        assert pilot.app.screen.query_one("#search").has_focus
        await pilot.press("escape")
        await pilot.press(*"web", "down", "space")
        assert [each.instance.name for each in listed(pilot).marked] == ["db-00001", "web-00000"]
        await pilot.press("up", "space")
        assert [each.instance.name for each in listed(pilot).marked] == ["db-00001"]

    played(Stage().open(), play)


def test_keys_move_through_the_list() -> None:
    async def play(pilot: Guide) -> None:
        def here() -> str:
            row = listed(pilot).highlighted
            return row.instance.name if row else ""

        await arrived(pilot)
        await pilot.press("down")
        assert here() == "web-00000"
        await pilot.press("down", "down")
        assert here() == "mail-00002"
        await pilot.press("end")
        assert here() == "build-00039"
        await pilot.press("down")
        assert here() == "build-00039"
        await pilot.press("pageup")
        assert here().endswith("21")
        await pilot.press("home", "up", "pageup")
        assert here() == "web-00000"

    played(Stage().open(), play)


def test_nothing_fits_and_nothing_is_chosen() -> None:
    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press(*"zzz", "enter", "space", "end", "up", "enter")
        assert isinstance(pilot.app.screen, ChoosingScreen)
        assert "Nothing fits." in text(pilot.app, "#details")

    played(Stage().open(), play)


def test_an_empty_hypervisor() -> None:
    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "space", "a", "enter")
        assert "0 instances" in text(pilot.app, "#title")

    played(Stage(listed=()).open(), play)


def test_details_are_asked_for_where_the_cursor_rests() -> None:
    stage = Stage().open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await until(pilot, lambda: "esx-1.lab" in text(pilot.app, "#details"))
        await pilot.press("down", "down")
        await until(pilot, lambda: len(stage.asked("details")) == 2)
        await until(pilot, lambda: "db-00001" in text(pilot.app, "#details"))
        await pilot.press("home")
        await pilot.pause()
        assert "esx-1.lab" in text(pilot.app, "#details")
        await pilot.pause(0.3)
        assert len(stage.asked("details")) == 2  # of each once

    played(stage, play)


def test_details_that_fail() -> None:
    refused = {"web-00000": HypervisorError("the host does not answer")}

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await until(pilot, lambda: "the host does not answer" in text(pilot.app, "#details"))
        assert "web-00000" in text(pilot.app, "#details")

    played(Stage(refused=refused).open(), play)


def test_a_hypervisor_that_cannot_be_listed() -> None:
    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        assert "esx-2: no connection" in text(pilot.app, "#troubles")

    played(Stage(trouble="esx-2: no connection").open(), play)


def test_a_silent_hypervisor_keeps_nobody_from_leaving() -> None:
    stage = Stage(listed=rows(1000))  # the second page, and all answers, never come
    began = time.monotonic()

    async def play(pilot: Guide) -> None:
        await until(pilot, lambda: stage.asked("details"))
        await pilot.press("ctrl+q")

    app = played(stage, play)
    assert app.return_value == ()
    assert time.monotonic() - began < 20
    stage.open()


def test_names_with_anything_in_them() -> None:
    names = ["[red]x[/red]", "a\x1b[2J", "\n", "x" * 500, "日本語" * 20]
    named = tuple(row(name, number) for number, name in enumerate(names))

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "a", "enter")
        await at(pilot, HowScreen)
        await pilot.press("f2")
        await at(pilot, ConfirmScreen)
        await until(pilot, lambda: "to read" in text(pilot.app, "#title"))
        await pilot.press("f2")
        await at(pilot, EndScreen)

    played(Stage(listed=named).open(), play)


# How.


def test_a_profile_fills_the_form_and_what_is_chosen_after_it_wins() -> None:
    stage = Stage().open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "enter")
        await at(pilot, HowScreen)
        screen = pilot.app.screen
        screen.query_one("#profile", Select).value = "off-site"
        await pilot.pause()
        assert screen.query_one("#format", Select).value == "ova"
        assert screen.query_one("#upload", Input).value == "s3://backups/vms"
        screen.query_one("#format", Select).value = "qcow2"
        screen.query_one("#verify", Checkbox).value = True
        await pilot.press("f2")
        await at(pilot, ConfirmScreen)

    played(stage, play)
    choices = stage.asked("plan")[0][1]
    assert (choices.format, choices.verify, choices.profile) == ("qcow2", True, "off-site")
    assert choices.values()["encrypt"] is True
    assert choices.values()["upload"] == "s3://backups/vms"


def test_no_profile_after_all() -> None:
    stage = Stage().open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "enter")
        await at(pilot, HowScreen)
        profile = pilot.app.screen.query_one("#profile", Select)
        profile.value = "off-site"
        await pilot.pause()
        profile.clear()
        await pilot.pause()
        await pilot.press("f2")
        await at(pilot, ConfirmScreen)

    played(stage, play)
    choices = stage.asked("plan")[0][1]
    assert choices.profile == ""
    assert "encrypt" not in choices.values()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("output", " ", "Name a folder"),
        ("parallel", "0", "give 1 to 64"),
        ("parallel", "65", "give 1 to 64"),
        ("parallel", "", "give 1 to 64"),
        ("upload", "bucket/prefix", "write a URL"),
        ("recipients", "my secret passphrase", "write a public key"),
    ],
)
def test_a_form_that_makes_no_sense(field: str, value: str, said: str) -> None:
    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "enter")
        await at(pilot, HowScreen)
        pilot.app.screen.query_one(f"#{field}", Input).value = value
        await pilot.press("f2")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HowScreen)
        assert said in text(pilot.app, "#wrong")

    played(Stage().open(), play)


def test_local_files_are_all_there_is_without_an_upload() -> None:
    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "enter")
        await at(pilot, HowScreen)
        await pilot.click("#keep_local")
        await pilot.press("f2")
        await pilot.pause()
        assert "keep them" in text(pilot.app, "#wrong")

    played(Stage().open(), play)


def test_back_and_forth_keeps_what_was_chosen() -> None:
    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "space", "enter")
        await at(pilot, HowScreen)
        pilot.app.screen.query_one("#output", Input).value = "/srv/out"
        await pilot.press("escape")
        await at(pilot, ChoosingScreen)
        assert len(listed(pilot).marked) == 1
        await pilot.press("enter")
        await at(pilot, HowScreen)
        assert pilot.app.screen.query_one("#output", Input).value == "/srv/out"
        await pilot.press("f2")
        await at(pilot, ConfirmScreen)
        await pilot.press("escape")
        await at(pilot, HowScreen)
        assert pilot.app.screen.query_one("#output", Input).value == "/srv/out"

    played(Stage().open(), play)


# Confirming.


def test_plans_and_concerns_are_shown() -> None:
    stage = Stage(concerns={"web-00000": (warning(),)}).open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down")
        await confirmed(pilot)
        said = text(pilot.app, "#text")
        assert "web-00000  20.0 GiB, at most 10.0 GiB to read → exports/web-00000" in said
        assert "! changed blocks are not recorded" in said
        assert "Switch it on with --incremental." in said
        assert not pilot.app.screen.query_one("#force").display

    played(stage, play)


def test_what_is_critical_blocks_until_the_person_insists() -> None:
    stage = Stage(concerns={"web-00000": (critical(),)}).open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down")
        await confirmed(pilot)
        await pilot.press("f2")
        assert isinstance(pilot.app.screen, ConfirmScreen)
        assert not pilot.app.screen.query_one("#leave-out").display  # nothing would be left
        await pilot.click("#force")
        await pilot.press("f2")
        await at(pilot, EndScreen)

    played(stage, play)
    assert stage.asked("export")[0][1].force


def test_blocked_ones_are_left_out() -> None:
    stage = Stage(concerns={"web-00000": (critical(),)}).open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "space", "space")
        await confirmed(pilot)
        await pilot.press("l")
        await pilot.press("f2")
        await at(pilot, EndScreen)

    played(stage, play)
    ((chosen, choices),) = stage.asked("export")
    assert [each.instance.name for each in chosen] == ["db-00001"]
    assert not choices.force


def test_one_without_a_plan_cannot_be_forced() -> None:
    stage = Stage(refused={"web-00000": HypervisorError("no such lease", hint="Wait.")}).open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "space", "space")
        await confirmed(pilot)
        assert "✗ no such lease" in text(pilot.app, "#text")
        await pilot.click("#force")
        await pilot.press("f2")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ConfirmScreen)
        await pilot.click("#leave-out")
        await pilot.press("f2")
        await at(pilot, EndScreen)

    played(stage, play)


def test_it_does_not_begin_before_all_were_looked_at() -> None:
    stage = Stage()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "enter")
        await at(pilot, HowScreen)
        await pilot.press("f2")
        await at(pilot, ConfirmScreen)
        await pilot.press("f2", "l")
        await pilot.pause()
        assert "looking at them: 0 of 1" in text(pilot.app, "#title")
        assert isinstance(pilot.app.screen, ConfirmScreen)
        stage.answering.set()
        await until(pilot, lambda: "to read" in text(pilot.app, "#title"))

    played(stage, play)


# The export.


def running_stage(**more: Any) -> Stage:
    stage = Stage(
        reports=(
            Progress("web-00000/scsi0-0", 5 * GIB, 20 * GIB, rate=80.0 * (1 << 20), eta=192.0),
            Progress("scsi0-0", GIB, 21 * GIB, rate=20.0 * (1 << 20), eta=1024.0),
        ),
        **more,
    )
    stage.listing.set()
    stage.answering.set()
    return stage


async def exporting(pilot: Guide) -> None:
    await arrived(pilot)
    await pilot.press("down", "space", "space")
    await confirmed(pilot)
    await pilot.press("f2")
    await at(pilot, WatchScreen)
    await until(pilot, lambda: "scsi0-0" in text(pilot.app, "#running"))


def test_progress_of_each_disk_and_of_all() -> None:
    stage = running_stage()

    async def play(pilot: Guide) -> None:
        await exporting(pilot)
        running = text(pilot.app, "#running").splitlines()
        assert running[0].startswith("web-00000/scsi0-0")
        assert "25%" in running[0]
        assert "80.0 MiB/s" in running[0]
        assert "3 min 12 s" in running[0]
        assert running[1].startswith("db-00001: scsi0-0")
        overall = text(pilot.app, "#overall")
        assert "6.0 GiB of 72.0 GiB" in overall
        assert "100.0 MiB/s" in overall
        stage.exporting.set()
        await at(pilot, EndScreen)

    played(stage, play)


def test_cancelling_asks_and_ends_cleanly() -> None:
    stage = running_stage()

    async def play(pilot: Guide) -> None:
        await exporting(pilot)
        await pilot.press("escape")
        await at(pilot, Asking)
        await pilot.press("escape")
        await at(pilot, WatchScreen)
        assert not stage.exporting.is_set()
        await pilot.press("q")
        await at(pilot, Asking)
        await pilot.press("y")
        await at(pilot, EndScreen)
        assert "2 cancelled" in text(pilot.app, ".title")
        await pilot.press("q")

    app = played(stage, play)
    assert app.return_value is not None
    assert all(isinstance(each.error, Interrupted) for each in app.return_value)


def test_leaving_in_the_middle_asks_too() -> None:
    stage = running_stage()

    async def play(pilot: Guide) -> None:
        await exporting(pilot)
        await pilot.press("ctrl+c")
        await at(pilot, Asking)
        await pilot.press("ctrl+q")  # no way round the question
        assert isinstance(pilot.app.screen, Asking)
        await pilot.click("#yes")
        await at(pilot, EndScreen)

    played(stage, play)


def test_told_to_end_in_the_middle_it_cleans_up_and_asks_nothing() -> None:
    stage = running_stage()

    async def play(pilot: Guide) -> None:
        await exporting(pilot)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(pilot, lambda: not pilot.app.is_running)

    app = played(stage, play)
    assert app.return_value is not None
    assert [outcome.interrupted for outcome in app.return_value] == [True, True]


def test_told_to_end_while_choosing() -> None:
    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(pilot, lambda: not pilot.app.is_running)

    assert played(Stage().open(), play).return_value == ()


def test_a_question_that_is_open_when_all_is_done_goes() -> None:
    stage = running_stage()

    async def play(pilot: Guide) -> None:
        await exporting(pilot)
        await pilot.press("escape", "question_mark")
        await at(pilot, Help)
        stage.exporting.set()
        await at(pilot, EndScreen)
        assert "2 exported" in text(pilot.app, ".title")

    played(stage, play)


def test_failures_are_told_with_what_to_type_next() -> None:
    error = HypervisorError("the lease expired", hint="Run it again with --resume.")
    stage = Stage(failing={"db-00001": error}).open()

    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down", "space", "space")
        await confirmed(pilot)
        await pilot.press("f2")
        await at(pilot, EndScreen)
        assert "1 exported" in text(pilot.app, ".title")
        assert "1 failed" in text(pilot.app, ".title")
        said = text(pilot.app, "#ended Static")
        assert "✗ db-00001  the lease expired" in said
        assert "Run it again with --resume." in said
        assert (
            "hyperexport -H vsphere://lab@vc/DC0 --vm db-00001 --output exports/db-00001 --resume"
        ) in said
        assert "The same again:" in said
        await pilot.press("c")
        await at(pilot, ChoosingScreen)
        assert listed(pilot).marked == ()
        await pilot.press("ctrl+q")

    app = played(stage, play)
    assert app.return_value is not None
    assert [outcome.error for outcome in app.return_value] == [None, error]


class Failing(Stage):
    """Nothing can be exported at all."""

    def export(self, *_: Any) -> None:
        raise HyperSDKError("the connection is gone")


def test_an_export_that_cannot_even_begin() -> None:
    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("down")
        await confirmed(pilot)
        await pilot.press("f2")
        await at(pilot, EndScreen)
        assert "✗ web-00000  the connection is gone" in text(pilot.app, "#ended Static")

    played(Failing().open(), play)


def test_help_opens_everywhere() -> None:
    async def play(pilot: Guide) -> None:
        await arrived(pilot)
        await pilot.press("question_mark")
        await at(pilot, Help)
        await pilot.press("question_mark")
        await at(pilot, ChoosingScreen)
        assert pilot.app.screen.query_one("#search", Input).value == ""
        await pilot.press("down", "enter")
        await at(pilot, HowScreen)
        await pilot.press("f1")
        await at(pilot, Help)
        await pilot.press("escape")
        await at(pilot, HowScreen)

    played(Stage().open(), play)
