"""A target whose connections are meddled with: broken drivers that the kit must see through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypersdk.conformance.target import Target
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.capabilities import Limit


class Meddled:
    """As ``inner``, with each new connection changed by ``meddle``; ``instead``: attributes."""

    def __init__(
        self, inner: Target, meddle: Callable[[Hypervisor], Hypervisor], **instead: object
    ) -> None:
        self._inner = inner
        self._meddle = meddle
        for name, value in instead.items():
            setattr(self, name, value)

    def connect(self) -> Hypervisor:
        return self._meddle(self._inner.connect())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Lacking:
    """As the part ``inner``, but it says that it lacks an aspect."""

    def __init__(self, inner: object, aspect: str) -> None:
        self._inner = inner
        self.limits = (Limit(aspect, "not here"),)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
