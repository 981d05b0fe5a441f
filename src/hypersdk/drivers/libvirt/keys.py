"""Keys by name, as Linux calls and numbers them.

Names and codes are those of ``linux/input-event-codes.h`` (``KEY_LEFTCTRL`` is 29), in small
letters, without ``KEY_``; a few that people write differently have a second name.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from hypersdk.model.errors import InvalidInput

#: VIR_DOMAIN_SEND_KEY_MAX_KEYS: more cannot be held down at once.
MOST_KEYS = 16


def _row(first: int, names: str) -> dict[str, int]:
    """Keys that follow each other."""
    return {name: code for code, name in enumerate(names.split(), first)}


_CODES = {
    **_row(1, "esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab"),
    **_row(16, "q w e r t y u i o p leftbrace rightbrace enter leftctrl"),
    **_row(30, "a s d f g h j k l semicolon apostrophe grave leftshift backslash"),
    **_row(44, "z x c v b n m comma dot slash rightshift kpasterisk leftalt space capslock"),
    **_row(59, "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 numlock scrolllock"),
    **_row(71, "kp7 kp8 kp9 kpminus kp4 kp5 kp6 kpplus kp1 kp2 kp3 kp0 kpdot"),
    **_row(85, "zenkakuhankaku 102nd f11 f12 ro"),
    **_row(96, "kpenter rightctrl kpslash sysrq rightalt linefeed"),
    **_row(102, "home up pageup left right end down pagedown insert delete"),
    **_row(113, "mute volumedown volumeup power kpequal"),
    **_row(119, "pause"),
    **_row(125, "leftmeta rightmeta compose stop again"),
    **_row(138, "help menu"),
    **_row(142, "sleep wakeup"),
}

_ALSO = {
    "ctrl": "leftctrl",
    "control": "leftctrl",
    "shift": "leftshift",
    "alt": "leftalt",
    "altgr": "rightalt",
    "meta": "leftmeta",
    "super": "leftmeta",
    "win": "leftmeta",
    "escape": "esc",
    "return": "enter",
    "del": "delete",
    "ins": "insert",
    "print": "sysrq",
}


def key_codes(names: Sequence[str]) -> list[int]:
    """Linux codes of keys that are pressed together. Raises InvalidInput."""
    if not names:
        raise InvalidInput("no key to press was named", hint="('ctrl', 'alt', 'delete')")
    if len(names) > MOST_KEYS:
        raise InvalidInput(
            f"{len(names)} keys cannot be pressed at once, {MOST_KEYS} can",
            hint="Press them one after another: one call each.",
        )
    return [_code(name) for name in names]


def _code(name: str) -> int:
    plain = name.lower().removeprefix("key_")
    code = _CODES.get(_ALSO.get(plain, plain))
    if code is not None:
        return code
    nearest = difflib.get_close_matches(plain, [*_CODES, *_ALSO], n=1)
    raise InvalidInput(
        f"there is no key '{name}'",
        hint=f"Did you mean '{nearest[0]}'?"
        if nearest
        else "Names are those of Linux without KEY_, in small letters: ctrl, f2, kpenter.",
    )
