from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.calls import Call
from hypersdk.drivers.mock.clock import FakeClock
from hypersdk.drivers.mock.config import Config
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.mock.latency import Latency
from hypersdk.model.errors import Interrupted

START = Call("mock:///x", "lifecycle", "start", ("web",))


def latency(seed: int = 1, jitter: float = 0.0, **seconds: float) -> Latency:
    usual = {name.replace("_", "."): value for name, value in seconds.items()}
    return Latency(usual or {"lifecycle.start": 2.0}, jitter, seed, FakeClock())


def test_the_longest_pattern_counts() -> None:
    found = Latency({"*": 1.0, "lifecycle.*": 2.0, "lifecycle.start": 3.0}, 0, 0, FakeClock())
    assert found.seconds(START) == 3.0
    assert found.seconds(Call("", "lifecycle", "stop", ("web",))) == 2.0
    assert found.seconds(Call("", "host", "info")) == 1.0
    assert latency().seconds(Call("", "host", "info")) == 0.0


def test_jitter_stays_within_its_share_and_follows_from_the_seed() -> None:
    one, same, other = (latency(seed, 0.2) for seed in (1, 1, 2))
    drawn = [one.seconds(START) for _ in range(200)]
    assert all(1.6 <= each <= 2.4 for each in drawn)
    assert max(drawn) > 2.3
    assert min(drawn) < 1.7
    assert drawn == [same.seconds(START) for _ in range(200)]
    assert drawn != [other.seconds(START) for _ in range(200)]


def test_calls_wait_by_the_clock_and_can_be_cancelled(tmp_path: Path) -> None:
    clock = FakeClock()
    config = Config(latency={"lifecycle.start": 2.0, "inventory.instance": 0.25})
    mock = MockHypervisor(tmp_path, config=config, clock=clock)
    mock.create_instance("web", {})
    mock.lifecycle.start("web")
    mock.inventory.instance("web")
    mock.lifecycle.stop("web")
    assert clock.sleeps == [2.0, 0.25]
    token = CancelToken()
    token.cancel()
    with token.scope(), pytest.raises(Interrupted):
        mock.lifecycle.start("web")
    assert mock.inventory.instance("web").state.value == "stopped"
