"""The port that says how much of a resource jobs may use; `app` fills it from the estate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hypersdk.model.estate import Budget


class Budgets(Protocol):
    """Asked several times per second, from several threads: answers come from memory."""

    def limit(self, resource: str) -> Budget:
        """Of ``hypervisor:NAME``, ``host:HYPERVISOR/HOST``, ``datastore:HYPERVISOR/STORE``,
        ``repository:NAME`` or ``tenant:NAME``; ``host:HYPERVISOR/`` and ``datastore:HYPERVISOR/``
        stand for any of them. One that is not known has no bound. Raises nothing."""
        ...


class FixedBudgets:
    """Budgets that are known beforehand; without any, nothing is bounded."""

    def __init__(self, known: Mapping[str, Budget] | None = None) -> None:
        self._known = dict(known or {})

    def limit(self, resource: str) -> Budget:
        return self._known.get(resource, Budget())
