"""A home without settings, and no variable of ours."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hypersdk.config.daemon import files

#: Writes a settings file under a name; gives its path.
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("HYPERVISORD_", "HYPERSDK_", "GOVC_", "XDG_")):
            monkeypatch.delenv(name)
    for name in ("DAEMON_ADDR", "LOG_LEVEL", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(files, "SYSTEM_FOLDER", tmp_path / "etc")
    return tmp_path


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "settings.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write
