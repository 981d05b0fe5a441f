from __future__ import annotations

import pytest

from hypersdk.drivers.vsphere.keys import pressed
from hypersdk.model.errors import InvalidInput


def test_keys_and_modifiers() -> None:
    # KB article of PutUsbScanCodes: 'a' is 0x04, shifted by 16 bits, plus 7.
    assert pressed(["a"]) == ((), (0x00040007,))
    assert pressed(["ctrl", "alt", "delete"]) == (("leftControl", "leftAlt"), (0x004C0007,))
    assert pressed(["KEY_ENTER", "f12", "up"])[1] == (0x00280007, 0x00450007, 0x00520007)
    assert pressed(["leftmeta"]) == (("leftGui",), ())


@pytest.mark.parametrize("keys", [[], ["nosuchkey"], list("abcdefg")])
def test_what_cannot_be_pressed(keys: list[str]) -> None:
    with pytest.raises(InvalidInput) as raised:
        pressed(keys)
    assert raised.value.hint
