"""Names of keys: those of Linux without ``KEY_``, in small letters, and what people call them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from hypersdk.model.errors import InvalidInput

_NAMES = frozenset({
    "esc", "minus", "equal", "backspace", "tab", "leftbrace", "rightbrace", "enter", "leftctrl",
    "semicolon", "apostrophe", "grave", "leftshift", "backslash", "comma", "dot", "slash",
    "rightshift", "kpasterisk", "leftalt", "space", "capslock", "numlock", "scrolllock",
    "kpminus", "kpplus", "kpdot", "kpenter", "rightctrl", "kpslash", "sysrq", "rightalt",
    "home", "up", "pageup", "left", "right", "end", "down", "pagedown", "insert", "delete",
    "mute", "volumedown", "volumeup", "power", "kpequal", "pause", "leftmeta", "rightmeta",
    "compose", "menu", "102nd", "kpcomma",
    *"abcdefghijklmnopqrstuvwxyz0123456789",
    *(f"f{number}" for number in range(1, 25)),
    *(f"kp{number}" for number in range(10)),
})  # fmt: skip
_ALSO = {
    "ctrl": "leftctrl",
    "control": "leftctrl",
    "alt": "leftalt",
    "altgr": "rightalt",
    "shift": "leftshift",
    "meta": "leftmeta",
    "super": "leftmeta",
    "win": "leftmeta",
    "escape": "esc",
    "return": "enter",
    "del": "delete",
}


def linux_names(keys: Sequence[str]) -> tuple[str, ...]:
    """As Linux calls them. Raises InvalidInput for none, and for one that no keyboard has."""
    if not keys:
        raise InvalidInput("no key was named", hint='For example: ("ctrl", "alt", "delete").')
    known = [*_NAMES, *_ALSO]
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else "Names are Linux's, in small letters."
            raise InvalidInput(f"no key is called '{key}'", hint=hint)
    return tuple(_ALSO.get(key, key) for key in keys)
