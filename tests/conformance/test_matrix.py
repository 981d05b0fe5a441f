"""Cells say what was seen, and docs/hypervisors.md says what the stored results say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hypersdk.conformance.matrix import NOT_LIMITED, Cell, Mark, matrix
from hypersdk.conformance.reports.document import read_run
from hypersdk.conformance.reports.page import page
from hypersdk.conformance.requirements import REQUIREMENTS
from hypersdk.conformance.results import HypervisorResult, Verdict
from hypersdk.model.capabilities import Capability, Grade, Limit
from tests.conformance.strange import HOSTILE, case, example, made_run, result

DOCS = Path(__file__).parents[2] / "docs"
MEMORY = Limit("snapshots.memory", "containers have no memory to keep")


def cell(requirement: str, found: HypervisorResult) -> Cell:
    (row,) = matrix([made_run(found)], {requirement: "A sentence."}).rows
    return row.cells[0]


def has(part: str, *limits: Limit) -> tuple[Capability, ...]:
    return (Capability(part, Grade.PARTIAL if limits else Grade.FULL, limits),)


def test_full() -> None:
    found = result("mock", case("snapshots.a"), case("snapshots.b"), capabilities=has("snapshots"))
    assert cell("snapshots", found) == Cell(Mark.FULL)


def test_none_without_the_part() -> None:
    found = result(
        "mock",
        case("snapshots.a", Verdict.SKIPPED, reason="no snapshots part"),
        capabilities=(Capability("snapshots", Grade.NONE),),
    )
    assert cell("snapshots", found) == Cell(Mark.NONE)


def test_partial_with_declared_limits() -> None:
    found = result(
        "mock",
        case("snapshots.a"),
        case("snapshots.b", Verdict.SKIPPED, reason=f"{MEMORY.aspect}: {MEMORY.note}"),
        capabilities=has("snapshots", MEMORY),
    )
    assert cell("snapshots", found) == Cell(Mark.PARTIAL, (f"no memory: {MEMORY.note}",))


def test_an_aspect_that_is_declared_to_be_lacking() -> None:
    found = result("mock", capabilities=has("snapshots", MEMORY))
    assert cell("snapshots.memory", found) == Cell(Mark.NONE, (MEMORY.note,))


def test_partial_with_skipped_cases() -> None:
    skipped = [
        case(f"host.{name}", Verdict.SKIPPED, reason="the target has no observer") for name in "ab"
    ]
    found = result("mock", case("host.c"), *skipped, capabilities=has("host"))
    expected = Cell(Mark.PARTIAL, ("2 cases skipped: the target has no observer",))
    assert cell("host", found) == expected


def test_what_has_a_row_of_its_own_lessens_no_other() -> None:
    found = result(
        "mock",
        case("lifecycle.a"),
        case("lifecycle.b", Verdict.SKIPPED, reason="no networks part"),
        case("lifecycle.c", Verdict.SKIPPED, reason=f"{MEMORY.aspect}: {MEMORY.note}"),
        case("lifecycle.d", Verdict.SKIPPED, reason=f"{NOT_LIMITED}: offered"),
        capabilities=(*has("lifecycle"), *has("snapshots", MEMORY)),
    )
    assert cell("lifecycle", found) == Cell(Mark.FULL)


def test_a_failure_is_never_hidden() -> None:
    """Not by passes, not by limits, not by a part that is said to be absent."""
    failed = case("snapshots.a", Verdict.FAILED, reason="it was wrong\nvery wrong")
    for capabilities in (has("snapshots", MEMORY), (Capability("snapshots", Grade.NONE),)):
        found = result("mock", failed, case("snapshots.b"), capabilities=capabilities)
        assert cell("snapshots", found) == Cell(Mark.FAILING, ("snapshots.a failed: it was wrong",))


def test_untested() -> None:
    assert cell("host", result("mock", capabilities=has("host"))) == Cell(Mark.UNTESTED)
    skipped = case("host.a", Verdict.SKIPPED, reason="no observer")
    assert cell("host", result("mock", skipped, capabilities=has("host"))) == Cell(
        Mark.UNTESTED, ("1 case skipped: no observer",)
    )
    assert cell("host", result("mock", problem="cannot be reached")) == Cell(
        Mark.UNTESTED, ("cannot be reached",)
    )


def test_a_part_is_shown_by_its_aspects_when_it_has_no_cases_of_its_own() -> None:
    passed = case("console.a", requirement="console.serial")
    found = result("mock", passed, capabilities=has("console"))
    assert cell("console", found) == Cell(Mark.FULL)


def test_of_a_hypervisor_in_several_runs_the_latest_counts() -> None:
    old = made_run(result("mock", case("host.a", Verdict.FAILED, reason="x")))
    new = replace(made_run(result("mock", case("host.a"))), began=old.began + timedelta(days=1))
    for runs in ([old, new], [new, old]):
        found = matrix(runs, {"host": "A sentence."})
        assert found.columns == ("mock",)
        assert found.rows[0].cells == (Cell(Mark.FULL),)


def test_every_requirement_has_a_row() -> None:
    assert [row.requirement for row in matrix([example()]).rows] == list(REQUIREMENTS)


def test_the_page_is_a_table_that_nothing_breaks() -> None:
    failed = case("host.a", Verdict.FAILED, reason=f"a | b {HOSTILE}")
    text = page([made_run(result("mock", failed), result("qmp"))])
    assert "<script" not in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == len(REQUIREMENTS)
    for row in rows:
        assert row.replace("\\|", "").count("|") == 4


def test_failing_stands_out_on_the_page() -> None:
    failed = case("host.a", Verdict.FAILED, reason="wrong")
    assert "| **failing** <sup>1</sup> |" in page([made_run(result("mock", failed))])


@pytest.mark.parametrize("name", ["hypervisors.md"])
def test_the_page_in_docs_is_made_of_the_stored_results(name: str) -> None:
    """Run scripts/matrix after a new run of the kit."""
    stored = sorted((DOCS / "conformance").glob("*.json"))
    assert (DOCS / name).read_text(encoding="utf-8") == page([read_run(each) for each in stored])
