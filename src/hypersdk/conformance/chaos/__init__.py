"""Random operations and faults on a hypervisor, and invariants that are checked all along."""

from __future__ import annotations

from hypersdk.conformance.chaos.run import ChaosReport, Violation, chaos

__all__ = ["ChaosReport", "Violation", "chaos"]
