"""The numbers people know these three by."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock.driver import connect
from hypersdk.drivers.mock.presets import PRESETS
from hypersdk.drivers.ports import present
from hypersdk.model.units import GIB


@pytest.mark.parametrize(
    ("profile", "milliseconds", "jitter", "limits"),
    [
        ("standard", (100, 2000, 1000, 10), 0.2, (100, 16, 32 * GIB)),
        ("performance", (50, 500, 200, 5), 0.2, (1000, 64, 128 * GIB)),
        ("unreliable", (100, 2000, 1000, 10), 0.5, (50, 8, 32 * GIB)),
    ],
)
def test_latency_and_limits(
    profile: str, milliseconds: tuple[int, ...], jitter: float, limits: tuple[int, ...]
) -> None:
    preset = PRESETS[profile]
    operations = (
        "lifecycle.create",
        "lifecycle.start",
        "lifecycle.stop",
        "inventory.instance",
    )
    assert tuple(preset.latency[each] * 1000 for each in operations) == milliseconds
    assert preset.jitter == jitter
    found = preset.limits
    assert (found.instances, found.vcpus, found.memory) == limits


def test_the_unreliable_one_fails_and_lacks_what_it_is_known_to_lack(tmp_path: Path) -> None:
    rates = {rule.operation.partition(".")[2]: rule.rate for rule in PRESETS["unreliable"].failures}
    assert rates == {
        "create": 0.20,  # of snapshots; that of instances is looked at below
        "start": 0.05,
        "stop": 0.05,
        "pause": 0.10,
        "resume": 0.10,
        "migrate": 0.15,
        "instance": 0.02,
    }
    assert PRESETS["unreliable"].failures[0].rate == 0.10
    parts = present(connect(f"mock://{tmp_path}?profile=unreliable"))
    assert "lifecycle" in parts
    assert not {"snapshots", "live_migration"} & {*parts}
