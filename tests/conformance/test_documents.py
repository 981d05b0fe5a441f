"""docs/conformance.md has the tables that the code gives."""

from __future__ import annotations

from pathlib import Path

from hypersdk.conformance.documents import requirements_table, suites_table

TEXT = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()


def test_requirements_are_documented() -> None:
    assert requirements_table() in TEXT, "python -m hypersdk.conformance.documents prints it"


def test_suites_are_documented() -> None:
    assert suites_table() in TEXT, "python -m hypersdk.conformance.documents prints it"
