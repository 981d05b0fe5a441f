from __future__ import annotations

import pytest

from hypersdk.accounts.passwords import (
    LANES,
    MEMORY_KIB,
    PASSES,
    PASSWORD_LEAST,
    PASSWORD_MOST,
    Passwords,
    check_strength,
)
from hypersdk.model.errors import InvalidInput
from tests.accounts.conftest import QUICK


@pytest.mark.parametrize(
    "password",
    [
        "short pw",
        "x" * (PASSWORD_MOST + 1),
        "aaaaaaaaaaaaaa",
        "1234567890",
        "qwertyuiop",
        "poiuytrewq",
        "abcdefghijkl",
        "1qaz2wsx3edc",
        "abcabcabcabcabc",
        "xyzzyxyzzyxyzzy",
        "Password123!",
        "P@ssw0rd2024",
        "passw0rd!!!!",
        "Welcome2024!!",
        "changeme1234",
        "administrator",
        "Summer2025!!",
        "letmein12345",
        "hypervisord1!",
        "correcthorsebatterystaple",
        "Ch@ngeMe!!2025",
        "alice12345",
        "Alice@home1",
    ],
)
def test_what_is_tried_first_is_refused_and_not_repeated(password: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_strength(password, "alice")
    assert password not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "password",
    [
        "four random words here",
        "kQ7#vw2!Lp",
        "x7Hq-29fk-Wm3a",
        "Zürich liegt am See",
        "alice likes long sentences",
    ],
)
def test_good_ones_are_taken(password: str) -> None:
    assert len(password) >= PASSWORD_LEAST
    check_strength(password, "alice")


def test_a_hash_says_how_it_was_made() -> None:
    stored = Passwords().hash("four random words here")
    assert stored.startswith(f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$")


def test_the_right_one_matches_and_no_other() -> None:
    stored = QUICK.hash("four random words here")
    assert QUICK.matches(stored, "four random words here")
    assert not QUICK.matches(stored, "four random words hera")
    assert not QUICK.matches("", "nobody has this one")  # that of the decoy
    assert not QUICK.matches("no hash at all", "four random words here")


def test_the_same_characters_typed_on_another_system_match() -> None:
    assert QUICK.matches(QUICK.hash("Zu\u0308rich am See"), "Z\u00fcrich am See")


def test_a_hash_of_other_parameters_is_outdated() -> None:
    stored = QUICK.hash("four random words here")
    assert not QUICK.outdated(stored)
    assert Passwords(passes=2, memory_kib=64, lanes=1).outdated(stored)
