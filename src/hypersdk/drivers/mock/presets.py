"""Three hypervisors ready to use: an ordinary one, a fast one, one that nobody should trust."""

from __future__ import annotations

from collections.abc import Mapping

from hypersdk.drivers.mock.config import Config, Limits, Rule
from hypersdk.model.units import GIB


def _latency(create: float, start: float, stop: float, status: float) -> Mapping[str, float]:
    """Deleting takes half as long as creating, listing twice as long as looking at one."""
    return {
        "lifecycle.create": create,
        "lifecycle.start": start,
        "lifecycle.stop": stop,
        "lifecycle.delete": create / 2,
        "inventory.instance": status,
        "inventory.instances": 2 * status,
    }


def _failing(rates: Mapping[str, float]) -> tuple[Rule, ...]:
    return tuple(Rule(operation=operation, rate=rate) for operation, rate in rates.items())


PRESETS: Mapping[str, Config] = {
    "standard": Config(
        profile="standard",
        limits=Limits(instances=100, vcpus=16, memory=32 * GIB),
        latency=_latency(0.100, 2.0, 1.0, 0.010),
        jitter=0.2,
    ),
    "performance": Config(
        profile="performance",
        limits=Limits(instances=1000, vcpus=64, memory=128 * GIB),
        latency=_latency(0.050, 0.500, 0.200, 0.005),
        jitter=0.2,
    ),
    "unreliable": Config(
        profile="unreliable",
        limits=Limits(instances=50, vcpus=8, memory=32 * GIB),
        latency=_latency(0.100, 2.0, 1.0, 0.010),
        jitter=0.5,
        failures=_failing({
            "lifecycle.create": 0.10,
            "lifecycle.start": 0.05,
            "lifecycle.stop": 0.05,
            "lifecycle.pause": 0.10,
            "lifecycle.resume": 0.10,
            "snapshots.create": 0.20,
            "live_migration.migrate": 0.15,
            "inventory.instance": 0.02,
        }),
        without=frozenset({"snapshots", "live_migration"}),
    ),
}  # fmt: skip
