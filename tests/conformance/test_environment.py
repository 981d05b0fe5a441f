"""Facts about the machine: there, printable, and free of secrets."""

from __future__ import annotations

import platform

import pytest

from hypersdk.conformance.environment import environment


def test_facts_are_there() -> None:
    facts = environment()
    assert platform.release() in facts["kernel"]
    assert platform.python_version() in facts["python"]
    assert int(facts["processors"]) >= 1
    assert facts["memory"].endswith("iB")
    assert facts["hypersdk"][0].isdigit()
    assert all(isinstance(value, str) and value.isprintable() for value in facts.values())


def test_variables_of_the_user_are_not_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERSDK_PASSPHRASE", "hunter2")
    assert "hunter2" not in str(environment())
