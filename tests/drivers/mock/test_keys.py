from __future__ import annotations

import pytest

from hypersdk.drivers.mock.keys import linux_names
from hypersdk.model.errors import InvalidInput


def test_names_are_linuxs_or_what_people_say() -> None:
    assert linux_names(["a", "f12", "kp0", "ctrl", "return"]) == (
        "a",
        "f12",
        "kp0",
        "leftctrl",
        "enter",
    )


@pytest.mark.parametrize(("key", "nearest"), [("entr", "enter"), ("leftcontrol", "leftctrl")])
def test_an_unknown_key_names_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        linux_names([key])
    assert f"Did you mean {nearest}?" in caught.value.hint


def test_no_key_at_all_is_refused() -> None:
    with pytest.raises(InvalidInput):
        linux_names([])
