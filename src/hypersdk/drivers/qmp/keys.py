"""Keys by name, as Linux calls them, in QEMU's names (``QKeyCode`` of the QMP reference).

Names are those of ``linux/input-event-codes.h`` without ``KEY_``, in small letters; a few that
people write differently have a second name.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from hypersdk.model.errors import InvalidInput

#: QEMU presses that many at once.
MOST_KEYS = 16

#: Called the same by both.
_SAME = (
    "esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab q w e r t y u i o p a s d f g h j k l "
    "semicolon apostrophe backslash z x c v b n m comma dot slash f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 "
    "f11 f12 home up left right end down insert delete pause power sleep stop again help menu ro "
    "compose"
)
_CODES = {
    **{name: name for name in _SAME.split()},
    **{f"kp{digit}": f"kp_{digit}" for digit in "0123456789"},
    "leftbrace": "bracket_left",
    "rightbrace": "bracket_right",
    "enter": "ret",
    "leftctrl": "ctrl",
    "rightctrl": "ctrl_r",
    "leftshift": "shift",
    "rightshift": "shift_r",
    "leftalt": "alt",
    "rightalt": "alt_r",
    "leftmeta": "meta_l",
    "rightmeta": "meta_r",
    "grave": "grave_accent",
    "space": "spc",
    "capslock": "caps_lock",
    "numlock": "num_lock",
    "scrolllock": "scroll_lock",
    "kpasterisk": "kp_multiply",
    "kpminus": "kp_subtract",
    "kpplus": "kp_add",
    "kpdot": "kp_decimal",
    "kpslash": "kp_divide",
    "kpenter": "kp_enter",
    "kpequal": "kp_equals",
    "102nd": "less",
    "sysrq": "print",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "mute": "audiomute",
    "volumedown": "volumedown",
    "volumeup": "volumeup",
    "wakeup": "wake",
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


def key_names(names: Sequence[str]) -> list[str]:
    """QEMU's names of keys that are pressed together. Raises InvalidInput."""
    if not names:
        raise InvalidInput("no key to press was named")
    if len(names) > MOST_KEYS:
        raise InvalidInput(
            f"{len(names)} keys cannot be pressed at once, {MOST_KEYS} can",
            hint="Press them one after another: one call each.",
        )
    return [_name(name) for name in names]


def _name(name: str) -> str:
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
