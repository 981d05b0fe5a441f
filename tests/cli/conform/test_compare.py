"""``hypersdk conform compare``"""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.conformance.reports.document import write_run
from hypersdk.conformance.results import Verdict
from tests.cli.conftest import Runner
from tests.conformance.strange import case, made_run, result, samples

EXPECTED = """\
qmp: only in {after}
HYPERVISOR  CASE  BEFORE   AFTER   WHY
mock        a.b   passed   failed  it was wrong
mock        a.c   not run  passed

HYPERVISOR  OPERATION  BEFORE   AFTER
mock        create     100 ms  900 ms  slower
mock        list       100 ms  100 ms
"""


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    times = samples("list", 0.1)
    write_run(
        made_run(result("mock", case("a.b"), samples=(*samples("create", 0.1), *times))), before
    )
    failed = case("a.b", Verdict.FAILED, reason="it was wrong\nin detail")
    now = result("mock", failed, case("a.c"), samples=(*samples("create", 0.9), *times))
    write_run(made_run(now, result("qmp")), after)
    return before, after


def test_the_whole_output(command: Runner, runs: tuple[Path, Path]) -> None:
    out = command("conform", "compare", *runs).out
    assert out == EXPECTED.format(after=runs[1])


def test_nothing_changed(command: Runner, runs: tuple[Path, Path]) -> None:
    out = command("conform", "compare", runs[0], runs[0]).out
    assert out.startswith("Every case ended as before.\n")


def test_json(command: Runner, runs: tuple[Path, Path]) -> None:
    found = command("conform", "compare", *runs, "--json").json
    assert [each["case"] for each in found["changes"]] == ["a.b", "a.c"]
    assert [each["regression"] for each in found["timings"]] == [True, False]
    assert found["only_after"] == ["qmp"]


def test_a_file_of_something_else(command: Runner, runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert "holds no results" in command("conform", "compare", other, runs[0], expect=2).err
