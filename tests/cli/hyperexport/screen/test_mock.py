"""The screen on a real hypervisor: a thousand instances, exported to real files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from textual.pilot import Pilot

from hypersdk import DiskSpec, InstanceSpec, MockHypervisor
from hypersdk.cli.hyperexport.main import hyperexport
from hypersdk.cli.hyperexport.options.source import source
from hypersdk.cli.hyperexport.screen.app import ExportApp
from hypersdk.cli.hyperexport.screen.ending import EndScreen
from hypersdk.cli.hyperexport.screen.port import Choices
from hypersdk.cli.hyperexport.screenport import Port
from hypersdk.cli.terminal import Terminal
from tests.cli.conftest import Stream
from tests.cli.hyperexport.screen.stage import arrived, at, confirmed, listed, text, until

COUNT = 1000
EXPORTED = (11, 777)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A hypervisor with a thousand instances, one of them running."""
    mock = MockHypervisor(tmp_path_factory.mktemp("lab"))
    for number in range(COUNT):
        disks = (DiskSpec(size=1 << 20), DiskSpec(size=2 << 20)) if number in EXPORTED else ()
        mock.lifecycle.create(InstanceSpec(name=f"vm-{number:04}", disks=disks))
    mock.lifecycle.start("vm-0777")
    mock.close()
    return mock.url


@pytest.fixture
def port(url: str) -> Iterator[Port]:
    terminal = Terminal(Stream(), Stream(), Stream(), dict(os.environ))
    with click.Context(hyperexport, obj=terminal) as context:
        hyperexport.parse_args(context, ["-H", url])
        with Port(terminal, context.params, source(context.params)) as port:
            yield port


def test_found_among_a_thousand_and_exported(port: Port, tmp_path: Path) -> None:
    app = ExportApp(port, Choices(output=str(tmp_path / "out"), format="qcow2"))

    async def play(pilot: Pilot[Any]) -> None:
        await arrived(pilot)
        assert f"{COUNT:,} instances" in text(app, "#title")
        await pilot.press(*"vm-0777", "enter")
        await until(pilot, lambda: listed(pilot).highlighted is not None)
        await until(pilot, lambda: "vda 1.0 MiB" in text(app, "#details"))
        await pilot.press("space", "escape")
        await pilot.press(*"vm-0011", "enter", "space")
        assert "2 chosen, 6.0 MiB" in text(app, "#title")
        await confirmed(pilot)
        assert "vm-0777 is running" in text(app, "#text")
        await pilot.press("f2")
        await at(pilot, EndScreen)
        assert "2 exported" in text(app, ".title")
        await pilot.press("q")

    async def run() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            await play(pilot)

    asyncio.run(run())
    for name in ("vm-0777", "vm-0011"):
        files = {path.name for path in (tmp_path / "out" / name).iterdir()}
        assert {f"{name}-disk-0.qcow2", f"{name}-disk-1.qcow2", "checksums.txt"} <= files
        assert not [each for each in files if each.startswith(".") or each.endswith(".partial")]
    assert app.return_value is not None
    assert all(outcome.error is None for outcome in app.return_value)
