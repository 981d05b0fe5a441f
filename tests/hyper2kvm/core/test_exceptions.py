"""Errors are data, one line long, and say no secrets."""

from __future__ import annotations

import pytest

from hyper2kvm.core.exceptions import Fatal, VMwareError, wrap_fatal, wrap_vmware


def test_the_code_comes_first() -> None:
    error = VMwareError(7, "no way")
    assert (error.code, str(error)) == (7, "no way")


@pytest.mark.parametrize(("given", "kept"), [(-3, 0), (256, 255), (130, 130)])
def test_codes_are_those_of_processes(given: int, kept: int) -> None:
    assert Fatal(given, "x").code == kept


def test_one_line_of_bounded_length() -> None:
    assert str(VMwareError(msg="a\n  b\tc")) == "a b c"
    assert len(str(VMwareError(msg="x" * 10_000))) == 600


def test_secrets_are_not_shown() -> None:
    error = wrap_vmware("login failed", ValueError("bad"), user="root", password="hunter2")
    assert error.code == 50
    assert "hunter2" not in error.user_message()
    assert "user=root" in error.user_message()
    told = error.to_dict()
    assert told["context"] == {"user": "root", "password": "***"}
    assert (told["type"], told["cause"]) == ("VMwareError", "ValueError: bad")


def test_two_of_the_same_are_two() -> None:
    """They are exceptions: compared by identity, and can be keys."""
    assert VMwareError(msg="a") != VMwareError(msg="a")
    assert len({VMwareError(msg="a"), VMwareError(msg="a")}) == 2


def test_caught_by_what_was_raised() -> None:
    with pytest.raises(Fatal, match="gone"):
        raise wrap_fatal("gone")
