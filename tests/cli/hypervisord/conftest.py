"""Running the command in this process, with nothing of the machine's own settings."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hypersdk.cli.hypervisord.main import run
from hypersdk.cli.terminal import Terminal
from hypersdk.config.daemon import files
from tests.app.daemons import environment
from tests.cli.conftest import Stream


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Hypervisord:
    """``hypervisord("config", "check")`` → Result; its state is in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str, expect: int = 0) -> Result:
        out, err = Stream(), Stream()
        terminal = Terminal(Stream(), out, err, dict(os.environ))
        status = run(list(words), terminal)
        result = Result(status, out.getvalue(), err.getvalue())
        assert status == expect, result
        return result

    def settings(self, text: str) -> Path:
        """A settings file, where it is looked for."""
        path = self.folder / "config/hypersdk/hypervisord.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def hypervisord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hypervisord:
    wanted = environment(tmp_path, STATE_DIRECTORY=str(tmp_path / "state"))
    for name in set(os.environ) - set(wanted):
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(files, "SYSTEM_FOLDER", tmp_path / "etc")
    return Hypervisord(tmp_path)
