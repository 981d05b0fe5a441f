"""How long operations are expected to take, and what a measured median is worth beside it.

The ranges are those of the table "Expected Performance Characteristics" in NovaCron's report on
testing hypervisor integrations. They were estimates for real machines with guests that boot an
operating system; a test guest or a busybox container is expected to be faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hypersdk.conformance.reports.words import spans

SOURCE = "NovaCron, Comprehensive Hypervisor Integration Testing, Expected Performance"


@dataclass(frozen=True, slots=True)
class Expected:
    """A range in seconds."""

    low: float
    high: float

    def __str__(self) -> str:
        return spans(self.low, self.high)

    def verdict(self, median: float) -> str:
        """``within``, ``faster``, ``slower``"""
        if median < self.low:
            return "faster"
        return "slower" if median > self.high else "within"


_KVM = {"create": Expected(2, 5), "start": Expected(10, 30), "stop": Expected(2, 5)}

#: Driver → operation → range.
EXPECTATIONS: Mapping[str, Mapping[str, Expected]] = {
    "libvirt": _KVM,
    "qmp": _KVM,
    "docker": {
        "create": Expected(0.1, 0.5),
        "start": Expected(1, 3),
        "stop": Expected(0.1, 0.2),
    },
    "containerd": {
        "create": Expected(0.2, 0.8),
        "start": Expected(2, 5),
        "stop": Expected(0.2, 0.5),
    },
    "vsphere": {
        "create": Expected(30, 120),
        "start": Expected(30, 90),
        "stop": Expected(10, 30),
    },
    "mock": {
        "create": Expected(0.05, 0.2),
        "start": Expected(0.5, 2),
        "stop": Expected(0.2, 1),
    },
}


def expected(driver: str, operation: str) -> Expected | None:
    """None where nobody expected anything."""
    return EXPECTATIONS.get(driver, {}).get(operation)
