from __future__ import annotations

import pytest

from hypersdk.drivers.mock.config import Rule


@pytest.mark.parametrize(
    ("operation", "instance", "matches"),
    [
        ("*", "*", True),
        ("lifecycle.*", "web", True),
        ("lifecycle.start", "w??", True),
        ("lifecycle.stop", "*", False),
        ("*", "db", False),
        ("LIFECYCLE.START", "*", False),
    ],
)
def test_patterns_are_those_of_file_names(operation: str, instance: str, matches: bool) -> None:
    rule = Rule(operation=operation, instance=instance)
    assert rule.matches("lifecycle.start", "web") is matches


def test_calls_about_no_instance_match_all_alone() -> None:
    assert Rule().matches("host.info", "")
    assert not Rule(instance="w*").matches("host.info", "")
