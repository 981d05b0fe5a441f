"""Keys by name, as Linux calls them, as codes of USB keyboards.

Names are those of ``linux/input-event-codes.h`` without ``KEY_``, in small letters. Codes are those
of the HID Usage Tables, page 7; ``PutUsbScanCodes`` wants them shifted by 16 bits, plus 7.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from hypersdk.model.errors import InvalidInput

#: A USB keyboard reports that many at once besides its modifiers.
MOST_KEYS = 6


def _row(first: int, names: str) -> dict[str, int]:
    """Keys whose codes follow each other."""
    return {name: code for code, name in enumerate(names.split(), first)}


_CODES = {
    **_row(0x04, "a b c d e f g h i j k l m n o p q r s t u v w x y z"),
    **_row(0x1E, "1 2 3 4 5 6 7 8 9 0 enter esc backspace tab space minus equal leftbrace"),
    **_row(0x30, "rightbrace backslash"),
    **_row(0x33, "semicolon apostrophe grave comma dot slash capslock"),
    **_row(0x3A, "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 sysrq scrolllock pause insert home"),
    **_row(0x4B, "pageup delete end pagedown right left down up numlock"),
    **_row(0x54, "kpslash kpasterisk kpminus kpplus kpenter kp1 kp2 kp3 kp4 kp5 kp6 kp7 kp8 kp9"),
    **_row(0x62, "kp0 kpdot 102nd compose power kpequal"),
    **_row(0x74, "open help props front stop again undo cut copy paste find"),
    **_row(0x7F, "mute volumeup volumedown"),
}
#: Field of ``UsbScanCodeSpec.ModifierType``.
_MODIFIERS = {
    "leftctrl": "leftControl",
    "leftshift": "leftShift",
    "leftalt": "leftAlt",
    "leftmeta": "leftGui",
    "rightctrl": "rightControl",
    "rightshift": "rightShift",
    "rightalt": "rightAlt",
    "rightmeta": "rightGui",
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


def pressed(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Modifiers (fields of vSphere's type) and codes of keys that are pressed together.

    Raises InvalidInput.
    """
    if not names:
        raise InvalidInput("no key to press was named", hint="('ctrl', 'alt', 'delete')")
    plain = [_name(name) for name in names]
    modifiers = tuple(_MODIFIERS[name] for name in plain if name in _MODIFIERS)
    codes = tuple(_CODES[name] << 16 | 7 for name in plain if name in _CODES)
    if len(codes) > MOST_KEYS:
        raise InvalidInput(
            f"{len(codes)} keys cannot be pressed at once, {MOST_KEYS} can",
            hint="Press them one after another: one call each.",
        )
    return modifiers, codes


def _name(name: str) -> str:
    plain = name.lower().removeprefix("key_")
    plain = _ALSO.get(plain, plain)
    if plain in _CODES or plain in _MODIFIERS:
        return plain
    near = difflib.get_close_matches(plain, [*_CODES, *_MODIFIERS, *_ALSO], n=1)
    raise InvalidInput(
        f"there is no key '{name}'",
        hint=f"Did you mean '{near[0]}'?"
        if near
        else "Names are those of Linux without KEY_, in small letters: ctrl, f2, kpenter.",
    )
