"""The registry of cases."""

from __future__ import annotations

from pathlib import Path

import pytest

import hypersdk.conformance.suites as suites_package
from hypersdk.conformance.case import add, cases
from hypersdk.conformance.requirements import NEEDS, REQUIREMENTS
from hypersdk.conformance.suites import SUITES
from hypersdk.drivers.ports import PARTS
from hypersdk.model.errors import InvalidInput
from hypersdk.model.operations import Operation


def test_every_module_of_the_suites_is_listed() -> None:
    folder = Path(suites_package.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == {*SUITES}


def test_ids_are_unique_and_say_their_suite() -> None:
    found = cases()
    assert len({case.id for case in found}) == len(found)
    assert all(case.id.startswith(f"{case.suite}.") for case in found)
    assert [*dict.fromkeys(case.suite for case in found)] == [*SUITES]


def test_every_case_has_a_sentence_and_a_requirement() -> None:
    for case in cases():
        assert case.title.endswith("."), case.id
        assert case.title[0].isupper(), case.id
        assert case.requirement in REQUIREMENTS, case.id
        assert {*case.needs} <= {*REQUIREMENTS, *NEEDS}, case.id


def test_every_state_meets_every_operation() -> None:
    ids = {case.id for case in cases(["lifecycle"])}
    wanted = {
        f"lifecycle.{operation.value.replace(' ', '_')}_of_{state}"
        for operation in Operation
        for state in ("stopped", "running", "paused", "crashed")
    }
    assert wanted <= ids
    assert len(wanted) == 28


def test_every_part_with_instances_is_asked_about_a_missing_one() -> None:
    asked = {case.requirement.partition(".")[0] for case in cases(["errors"])}
    about_none = {"host", "events", "provisioning", "leftovers", "storage", "networks", "images"}
    assert {*PARTS} - about_none <= asked


def test_suites_and_single_cases_are_chosen() -> None:
    assert {case.suite for case in cases(["host", "core"])} == {"host", "core"}
    assert [case.id for case in cases(["host.says_what_it_is"])] == ["host.says_what_it_is"]


def test_an_unknown_suite_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="snapshot"):
        cases(["snapshotz"])


@pytest.mark.parametrize(
    ("requirement", "title", "needs", "problem"),
    [
        ("flying", "It flies.", (), "lacks a requirement"),
        ("core", "It flies", (), "lacks a sentence"),
        ("core", "It flies.", ("wings",), "lacks needs"),
    ],
)
def test_a_malformed_case_is_refused(
    requirement: str, title: str, needs: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        add("core", "flies", requirement, title, lambda lab: None, needs=needs)
    assert "core.flies" not in {case.id for case in cases()}


def test_a_taken_id_is_refused() -> None:
    with pytest.raises(InvalidInput, match="name of its own"):
        add("host", "says_what_it_is", "host", "Twice.", lambda lab: None)
