"""Running the command in this process, and a small world for it to work in."""

from __future__ import annotations

import io
import json
import logging
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hypersdk import MockHypervisor, connect
from hypersdk.cli.main import run
from hypersdk.cli.terminal import Terminal
from tests.docs.schemas import check

MIB = 1 << 20


class Stream(io.StringIO):
    """What is written, and whether it passes for a terminal."""

    def __init__(self, text: str = "", *, tty: bool = False) -> None:
        super().__init__(text)
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Runner:
    """``command("repo", "list", place)`` → Result. JSON is compared with its schema."""

    def __call__(self, *arguments: object, expect: int = 0) -> Result:
        out, err = Stream(), Stream()
        terminal = Terminal(Stream(), out, err, dict(os.environ))
        words = [str(argument) for argument in arguments]
        status = run(words, terminal)
        result = Result(status, out.getvalue(), err.getvalue())
        assert status == expect, result
        if "--json" in words:
            check(words, status, result.json)
        return result


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the machine's own settings, and a log that ends with the test."""
    for name in [name for name in os.environ if name.startswith("HYPERSDK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HYPERSDK_CACHE_DIR", str(tmp_path / "cache"))
    before = logging.getLogger().handlers[:]
    yield
    for handler in logging.getLogger().handlers[:]:
        if handler not in before:
            logging.getLogger().removeHandler(handler)


@pytest.fixture
def command() -> Runner:
    return Runner()


@pytest.fixture
def place(tmp_path: Path, command: Runner) -> Path:
    """An unencrypted repository."""
    folder = tmp_path / "repository"
    command("repo", "init", folder, "--encrypt", "none")
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A raw image of 16 MiB with 3 MiB of random data."""
    path = tmp_path / "disk.img"
    dice = random.Random(1)
    with path.open("wb") as file:
        file.truncate(16 * MIB)
        file.write(dice.randbytes(2 * MIB))
        file.seek(9 * MIB)
        file.write(dice.randbytes(MIB))
    return path


@pytest.fixture
def lab(tmp_path: Path) -> MockHypervisor:
    """A mock hypervisor with two instances; ``db`` has two disks."""
    hypervisor = connect(f"mock://{tmp_path}/lab")
    assert isinstance(hypervisor, MockHypervisor)
    dice = random.Random(2)
    for name, disks in {"web": ("vda",), "db": ("vda", "vdb")}.items():
        hypervisor.create_instance(name, dict.fromkeys(disks, 8 * MIB))
        for disk in disks:
            with hypervisor.guest(name, disk) as guest:
                guest.write(MIB, dice.randbytes(2 * MIB))
    return hypervisor
