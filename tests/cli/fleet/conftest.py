from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Result
from tests.flows.fleet.labs import Labs


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Labs:
    """Hypervisors ``a`` (web, db) and ``b`` (web), known by the settings."""
    labs = Labs(tmp_path / "labs")
    labs.add("a", "web", "db")
    labs.add("b", "web")
    known(monkeypatch, labs, "a", "b")
    return labs


def known(monkeypatch: pytest.MonkeyPatch, labs: Labs, *names: str) -> None:
    """Have the settings know these hypervisors."""
    urls = json.dumps({name: labs.url(name) for name in names})
    monkeypatch.setenv("HYPERSDK_HYPERVISORS", urls)


def steady(text: str) -> str:
    """Output without what differs from run to run: seconds and ids."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    return re.sub(r"\b\d+\.\d( s)?$", "0.0", text, flags=re.MULTILINE)


def out(result: Result) -> str:
    return steady(result.out)
