"""A mock hypervisor that fails as planned, under the guards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hypersdk.drivers.calls import Call, intercepted
from hypersdk.drivers.ports import Hypervisor, Inventory, Lifecycle
from hypersdk.drivers.registry import connect
from hypersdk.model.errors import HypervisorUnreachable
from hypersdk.model.specs import InstanceSpec


class Clock:
    """Seconds that pass when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Failing:
    """Raises the planned errors one after another, then lets calls pass. None lets one pass.

    ``after``: the call takes effect before the error, as when a reply is lost.
    """

    def __init__(self, *plan: Exception | None, after: bool = False, only: str = "") -> None:
        self.plan = list(plan)
        self.calls: list[str] = []
        self._after = after
        self._only = only

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        if self._only and call.operation != self._only:
            return go()
        self.calls.append(call.operation)
        error = self.plan.pop(0) if self.plan else None
        if error is None:
            return go()
        if self._after:
            go()
        raise error


def lost(times: int = 1) -> Iterable[HypervisorUnreachable]:
    return [HypervisorUnreachable("the connection was lost") for _ in range(times)]


def lab(folder: Path, *names: str) -> Hypervisor:
    """A mock hypervisor with stopped instances."""
    (folder / "lab").mkdir(parents=True, exist_ok=True)
    hypervisor = connect(f"mock://{folder}/lab")
    assert hypervisor.lifecycle is not None
    for name in names:
        hypervisor.lifecycle.create(InstanceSpec(name=name))
    return hypervisor


def parts(hypervisor: Hypervisor, *interceptors: Any) -> tuple[Inventory, Lifecycle]:
    """Inventory and lifecycle with ``interceptors`` around them."""
    wrapped = intercepted(hypervisor, *interceptors)
    assert wrapped.inventory is not None
    assert wrapped.lifecycle is not None
    return wrapped.inventory, wrapped.lifecycle
