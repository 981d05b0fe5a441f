"""The screen, joined to the hypervisor that the line names."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hypersdk import CancelToken, MockHypervisor
from hypersdk.artifacts.agekeys import make_identity
from hypersdk.cli.hyperexport.exits import Exit
from hypersdk.cli.hyperexport.main import hyperexport
from hypersdk.cli.hyperexport.options.source import source
from hypersdk.cli.hyperexport.screen.app import ExportApp
from hypersdk.cli.hyperexport.screen.choosing import ChoosingScreen
from hypersdk.cli.hyperexport.screen.confirming import ConfirmScreen
from hypersdk.cli.hyperexport.screen.port import Outcome
from hypersdk.cli.hyperexport.screenport import Port, choices
from hypersdk.cli.terminal import Terminal
from tests.cli.conftest import Stream
from tests.cli.hyperexport.conftest import Export

#: Seconds.
PATIENCE = 60


def port(url: str, *arguments: str) -> tuple[Port, dict[str, object]]:
    """As the command makes it of a line."""
    terminal = Terminal(Stream(), Stream(), Stream(), dict(os.environ))
    context = hyperexport.make_context("hyperexport", ["-H", url, *arguments], obj=terminal)
    return Port(terminal, context.params, source(context.params)), dict(context.params)


async def _pressed(app: ExportApp, *steps: tuple[str, str]) -> None:
    """Wait for each screen, then press its key."""
    async with app.run_test(size=(80, 24)) as pilot:
        for screen, key in steps:
            for _ in range(PATIENCE * 20):
                if type(app.screen).__name__ == screen and _ready(app):
                    break
                await pilot.pause(0.05)
            assert type(app.screen).__name__ == screen, app.screen
            await pilot.press(*key.split())
        await pilot.pause()


def _ready(app: ExportApp) -> bool:
    """It shows what it is about to show."""
    screen = app.screen
    if isinstance(screen, ChoosingScreen):
        return not screen._listing
    return not isinstance(screen, ConfirmScreen) or screen._may_begin


def test_chosen_exported_and_noted(export: Export, lab: MockHypervisor, work: Path) -> None:
    line, given = port(lab.url, "--format", "raw", "--output", "here")
    with line:
        app = ExportApp(line, choices(given))
        asyncio.run(
            _pressed(
                app,
                ("ChoosingScreen", "down space f2"),
                ("HowScreen", "f2"),
                ("ConfirmScreen", "f2"),
                ("EndScreen", "q"),
            )
        )
    assert app.return_value
    (outcome,) = app.return_value
    assert isinstance(outcome, Outcome)
    assert outcome.error is None
    name = outcome.row.instance.name
    assert (work / "here" / name / f"{name}-disk-0.raw").exists()
    (record,) = export("--history", "--json").json["exports"]
    assert (record["vm_name"], record["format"]) == (name, "raw")


def test_all_instances_come_in_pages(lab: MockHypervisor) -> None:
    with port(lab.url)[0] as line:
        (page,) = line.pages()
    assert sorted(row.instance.name for row in page.rows) == ["db", "web"]
    assert page.trouble == ""


def test_a_hypervisor_that_cannot_be_listed_is_named() -> None:
    with port("mock:///nowhere/at/all")[0] as line:
        (page,) = line.pages()
    assert page.rows == ()
    assert page.trouble.startswith("mock:///nowhere/at/all: ")


@pytest.fixture
def second(tmp_path: Path) -> MockHypervisor:
    """Another hypervisor, with an instance of a name that the first one has too."""
    (tmp_path / "second").mkdir()
    hypervisor = MockHypervisor(tmp_path / "second")
    hypervisor.create_instance("web", {"vda": 1 << 20})
    with hypervisor.guest("web", "vda") as guest:
        guest.write(0, b"second")
    return hypervisor


def test_all_hypervisors_are_listed_and_one_that_fails_holds_no_other_up(
    lab: MockHypervisor, second: MockHypervisor
) -> None:
    with port(lab.url, "-H", "mock:///nowhere/at/all", "-H", second.url)[0] as line:
        pages = list(line.pages())
        assert line.hypervisors == (lab.url, "mock:///nowhere/at/all", second.url)
    found = {(row.hypervisor, row.instance.name) for page in pages for row in page.rows}
    assert found == {(lab.url, "db"), (lab.url, "web"), (second.url, "web")}
    (trouble,) = [page.trouble for page in pages if page.trouble]
    assert trouble.startswith("mock:///nowhere/at/all: ")


def test_instances_of_one_name_on_two_hypervisors_are_exported_apart(
    lab: MockHypervisor, second: MockHypervisor, work: Path
) -> None:
    line, given = port(lab.url, "-H", second.url, "--format", "raw", "--output", "here")
    outcomes: list[Outcome] = []
    with line:
        rows = [row for page in line.pages() for row in page.rows if row.instance.name == "web"]
        chosen = choices(given)
        folders = {row.hypervisor: line.plan(row, chosen).folder for row in rows}
        line.export(rows, chosen, lambda *_: None, outcomes.append, CancelToken())
    assert [each.error for each in outcomes] == [None, None]
    contents = {}
    for each in outcomes:
        assert each.place == folders[each.row.hypervisor]
        contents[each.row.hypervisor] = (work / each.place / "web-disk-0.raw").read_bytes()
    assert contents[second.url].startswith(b"second")
    assert len(contents[lab.url]) == 8 << 20


def test_what_is_encrypted_for_somebody_on_the_screen(lab: MockHypervisor, work: Path) -> None:
    _, recipient = make_identity()
    line, given = port(lab.url, "--output", "here")
    outcomes: list[Outcome] = []
    with line:
        rows = [row for page in line.pages() for row in page.rows if row.instance.name == "web"]
        chosen = replace(choices(given), recipients=(recipient,))
        line.export(rows, chosen, lambda *_: None, outcomes.append, CancelToken())
    assert [each.error for each in outcomes] == [None]
    assert (work / "here" / "web" / "web.ovf.age").exists()
    assert not (work / "here" / "web" / "web.ovf").exists()


def test_several_hypervisors_are_for_the_screen_only(
    export: Export, lab: MockHypervisor, second: MockHypervisor
) -> None:
    result = export.plain("web", "-H", lab.url, "-H", second.url, expect=Exit.USAGE)
    assert "several hypervisors were named" in result.err


def test_profiles_and_templates_are_offered(lab: MockHypervisor) -> None:
    with port(lab.url)[0] as line:
        found = line.profiles()
    assert found["Production Backup"]["format"] == "ova"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--pipeline"], "hands nothing over"), (["--encrypt"], "able to decrypt")],
)
def test_what_a_screen_cannot_do_is_said(
    lab: MockHypervisor, arguments: list[str], words: str
) -> None:
    line, given = port(lab.url, *arguments)
    with line:
        (page,) = line.pages()
        planned = line.plan(page.rows[0], choices(given))
    assert planned.error is not None
    assert words in planned.error.message


def test_without_a_terminal_there_is_none(export: Export) -> None:
    for arguments in ([], ["--interactive"], ["--tui", "--json"]):
        result = export(*arguments, "--quiet", expect=Exit.USAGE)
        assert "no instance was named" in result.err


def test_no_hypervisor_was_named(export: Export) -> None:
    assert "set GOVC_URL" in export.plain("web", expect=Exit.USAGE).err
