"""``hypersdk conform matrix``"""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.conformance.reports.document import write_run
from hypersdk.conformance.reports.page import page
from tests.cli.conftest import Runner
from tests.conformance.strange import example


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_run(example(), tmp_path / "results.json")
    return tmp_path / "results.json"


def test_the_page_is_printed(command: Runner, results: Path) -> None:
    assert command("conform", "matrix", results.parent).out == page([example()])


def test_the_page_is_written(command: Runner, results: Path, tmp_path: Path) -> None:
    path = tmp_path / "hypervisors.md"
    out = command("conform", "matrix", results, "--write", path).out
    assert out == f"Written: {path}\n"
    assert path.read_text() == page([example()])


def test_json(command: Runner, results: Path) -> None:
    found = command("conform", "matrix", results, "--json").json
    assert found["hypervisors"] == ["mock", "docker"]
    rows = {row["requirement"]: row["cells"] for row in found["requirements"]}
    assert rows["snapshots"]["docker"]["mark"] == "partial"
    assert rows["snapshots.memory"]["docker"]["mark"] == "none"
    assert rows["lifecycle"]["docker"]["mark"] == "failing"


def test_without_results(command: Runner) -> None:
    assert "missing argument" in command("conform", "matrix", expect=2).err
