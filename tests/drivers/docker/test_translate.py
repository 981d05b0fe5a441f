from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.drivers.docker import translate
from hypersdk.drivers.specs import WEIGHTS
from hypersdk.model.instances import InstanceState


@given(st.integers(WEIGHTS.start, WEIGHTS.stop - 1))
def test_weights_arrive_where_they_were_meant(weight: int) -> None:
    shares = translate.shares(weight, "2")
    assert 2 <= shares <= 262_144
    # What runc makes of them.
    assert 1 + (shares - 2) * 9_999 // 262_142 == weight
    shares = translate.shares(weight, "1")
    assert 2 <= shares <= 262_144
    assert round(shares * 100 / 1024) == weight


def test_everybodys_weight_is_everybodys_share() -> None:
    assert translate.shares(100, "1") == 1024


@pytest.mark.parametrize(
    ("limits", "processors"),
    [
        ({"NanoCpus": 1_500_000_000}, 1.5),
        ({"NanoCpus": 0, "CpuQuota": 25_000, "CpuPeriod": 50_000}, 0.5),
        ({"CpuQuota": 200_000, "CpuPeriod": 0}, 2.0),
        ({"CpuQuota": -1}, 0.0),
        ({}, 0.0),
    ],
)
def test_processors(limits: dict[str, int], processors: float) -> None:
    assert translate.processors(limits) == processors


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("created", InstanceState.STOPPED),
        ("exited", InstanceState.STOPPED),
        ("restarting", InstanceState.RUNNING),
        ("paused", InstanceState.PAUSED),
        ("removing", InstanceState.UNKNOWN),
    ],
)
def test_states(word: str, state: InstanceState) -> None:
    assert translate.state(word) is state


def test_names_through_links_are_not_its_own() -> None:
    assert translate.own_name(["/other/alias", "/web"]) == "web"


def test_a_volume_that_is_called_like_the_filesystem() -> None:
    mounts = [
        {"Type": "volume", "Name": name, "Destination": place}
        for name, place in (("data", "/c"), ("rootfs", "/a"), ("data", "/b"))
    ]
    assert translate.volumes(mounts) == {"rootfs": "/a", "data": "/b"}
    names = [disk.name for disk in translate.archives(mounts)]
    assert names == ["rootfs", "volume-rootfs", "data"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T09:40:15.690046123Z", datetime(2026, 11, 21, 9, 40, 15, 690046, UTC)),
        ("2026-11-21T09:40:15.5Z", datetime(2026, 11, 21, 9, 40, 15, 500000, UTC)),
        ("2026-11-21T09:40:15Z", datetime(2026, 11, 21, 9, 40, 15, 0, UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    assert translate.moment(text) == moment
