"""The kit catches every mutant of the mock driver, and the mock itself passes what catches them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from hypersdk.conformance.case import cases
from hypersdk.conformance.engine import run_case
from hypersdk.conformance.results import CaseResult, Verdict
from tests.conformance.mutants import MUTANTS
from tests.conformance.mutants.table import TIMEOUT, caught, table
from tests.conformance.mutants.target import MutantTarget

DOCUMENT = Path(__file__).parents[2] / "docs" / "mutants.md"


@cache
def unbroken(case: str, query: str) -> CaseResult:
    """How a case ends on the mock as it is."""
    target = MutantTarget(query=query)
    try:
        return run_case(target, cases([case])[0], timeout=TIMEOUT)
    finally:
        target.close()


def test_there_are_many() -> None:
    assert len(MUTANTS) >= 30


@pytest.mark.parametrize("name", MUTANTS)
def test_it_is_caught(name: str) -> None:
    result = caught(name)
    assert result is not None, f"no case of {MUTANTS[name].suites} fails: {MUTANTS[name].title}"
    assert result.reason
    # A limit that a mutant declares is only told apart from the truth where the mock lacks it.
    if MUTANTS[name].limits:
        return
    plain = unbroken(result.case, MUTANTS[name].query)
    assert plain.verdict is Verdict.PASSED, f"{result.case} without a mutant: {plain.reason}"


def test_the_table_in_the_document_is_what_happens() -> None:
    assert DOCUMENT.read_text().endswith(table()), "python -m tests.conformance.mutants.table"
