"""``hypersdk conform trend``"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hypersdk.conformance.history import append, entry
from hypersdk.conformance.results import Verdict
from tests.cli.conftest import Runner
from tests.conformance.strange import BEGAN, case, made_run, result, samples

EXPECTED = """\
mock
RUN                   PASSED  FAILED  SKIPPED  NEWLY FAILING  MENDED  MEDIANS
2026-11-21T02:00:00Z       0       1        0  a.b
2026-11-22T02:00:00Z       1       0        0                 a.b     create +50%

"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for day, verdict, seconds in ((0, Verdict.FAILED, 0.2), (1, Verdict.PASSED, 0.3)):
        run = made_run(result("mock", case("a.b", verdict), samples=samples("create", seconds)))
        late = replace(run, began=BEGAN + timedelta(days=day))
        append(tmp_path / "history.jsonl", entry(late))
    return tmp_path


def test_the_whole_output(command: Runner, folder: Path) -> None:
    assert command("conform", "trend", folder).out == EXPECTED
    assert command("conform", "trend", folder / "history.jsonl").out == EXPECTED


def test_only_the_last(command: Runner, folder: Path) -> None:
    out = command("conform", "trend", folder, "--last", "1").out
    assert "2026-11-22" in out
    assert "2026-11-21" not in out
    assert "create +50%" in out, "compared with what is not shown any more"


def test_json(command: Runner, folder: Path) -> None:
    steps = command("conform", "trend", folder, "--json").json["hypervisors"]["mock"]
    assert [step["broken"] for step in steps] == [["a.b"], []]


def test_no_history(command: Runner, tmp_path: Path) -> None:
    result = command("conform", "trend", tmp_path, expect=2)
    assert "cannot read" in result.err
    assert "--report DIR" in result.err
