from __future__ import annotations

import pytest

from hypersdk.drivers.qmp.keys import _ALSO, _CODES, key_names
from hypersdk.model.errors import InvalidInput
from tests.drivers.qmp.conftest import Place


def test_names_are_linux_names_with_a_few_others() -> None:
    assert key_names(("ctrl", "KEY_F2", "Enter", "kp5")) == ["ctrl", "f2", "ret", "kp_5"]
    with pytest.raises(InvalidInput, match="no key to press"):
        key_names(())
    with pytest.raises(InvalidInput, match="17 keys"):
        key_names(["a"] * 17)


def test_qemu_knows_every_one_of_them(place: Place) -> None:
    place.running()
    with place.monitor() as monitor:
        for name in (*_CODES, *_ALSO):
            key = {"type": "qcode", "data": key_names((name,))[0]}
            monitor.ask("send-key", keys=[key], **{"hold-time": 1})
