"""Requirements are those that drivers speak of, each is tested, and the document has them."""

from __future__ import annotations

import pytest

from hypersdk.conformance.case import cases
from hypersdk.conformance.requirements import REQUIREMENTS
from hypersdk.drivers.ports import PARTS


def test_every_part_is_a_requirement_and_every_aspect_has_its_part() -> None:
    assert {*PARTS} <= {*REQUIREMENTS}
    assert {name.partition(".")[0] for name in REQUIREMENTS} == {*PARTS, "core"}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_it_is_one_sentence(name: str) -> None:
    sentence = REQUIREMENTS[name]
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert sentence[0].isupper()


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_some_case_tests_it(name: str) -> None:
    assert [case.id for case in cases() if case.requirement == name]
