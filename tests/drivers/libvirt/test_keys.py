from __future__ import annotations

import pytest

from hypersdk.drivers.libvirt.keys import MOST_KEYS, key_codes
from hypersdk.model.errors import InvalidInput


# Codes as linux/input-event-codes.h has them, at the ends of the table's rows.
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("esc", 1),
        ("1", 2),
        ("0", 11),
        ("tab", 15),
        ("q", 16),
        ("enter", 28),
        ("leftctrl", 29),
        ("a", 30),
        ("l", 38),
        ("leftshift", 42),
        ("backslash", 43),
        ("z", 44),
        ("slash", 53),
        ("kpasterisk", 55),
        ("space", 57),
        ("f1", 59),
        ("f10", 68),
        ("scrolllock", 70),
        ("kp7", 71),
        ("kpminus", 74),
        ("kpdot", 83),
        ("102nd", 86),
        ("f11", 87),
        ("f12", 88),
        ("kpenter", 96),
        ("rightctrl", 97),
        ("sysrq", 99),
        ("rightalt", 100),
        ("home", 102),
        ("pagedown", 109),
        ("delete", 111),
        ("power", 116),
        ("pause", 119),
        ("leftmeta", 125),
        ("compose", 127),
        ("help", 138),
        ("menu", 139),
        ("sleep", 142),
        ("ctrl", 29),
        ("alt", 56),
        ("KEY_A", 30),
    ],
)
def test_codes(name: str, code: int) -> None:
    assert key_codes([name]) == [code]


def test_several_in_their_order() -> None:
    assert key_codes(("ctrl", "alt", "delete")) == [29, 56, 111]


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="no key 'backspce'\nDid you mean 'backspace'"):
        key_codes(["backspce"])


def test_unknown_key_unlike_any() -> None:
    with pytest.raises(InvalidInput, match="no key 'ß'\nNames are those of Linux"):
        key_codes(["ß"])


def test_none_and_too_many() -> None:
    with pytest.raises(InvalidInput, match="no key to press"):
        key_codes([])
    with pytest.raises(InvalidInput, match="17 keys cannot be pressed at once, 16 can"):
        key_codes(["a"] * (MOST_KEYS + 1))
