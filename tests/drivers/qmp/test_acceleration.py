"""The probe boots a real machine."""

from __future__ import annotations

import json

from hypersdk.drivers.qmp import acceleration
from hypersdk.drivers.qmp.emulator import installed
from tests.drivers.qmp.conftest import Place


def test_emulation_boots_the_probe_and_a_broken_machine_does_not(place: Place) -> None:
    assert acceleration.boots(installed(), "tcg")
    firmware = acceleration.firmware
    try:
        acceleration.firmware = lambda: b"\xf4" * (64 * 1024)  # it only halts
        acceleration._SECONDS = 1.0
        assert not acceleration.boots(installed(), "tcg")
    finally:
        acceleration.firmware = firmware
        acceleration._SECONDS = 5.0


def test_the_answer_is_kept_until_something_changes(place: Place) -> None:
    place.create()
    found = acceleration.has_kvm(place.root, installed())
    file = place.root / "kvm.json"
    if not file.exists():
        assert not found, "there is no device to ask"
        return
    kept = json.loads(file.read_text())
    assert kept["boots"] is found
    kept["boots"] = not found
    file.write_text(json.dumps(kept))
    assert acceleration.has_kvm(place.root, installed()) is not found, "it was asked again"
    kept["asked"]["boot"] = "another"
    file.write_text(json.dumps(kept))
    assert acceleration.has_kvm(place.root, installed()) is found
