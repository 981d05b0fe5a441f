"""Budgets as they stand in records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypersdk.model.errors import InvalidInput
from hypersdk.model.estate import Budget


def from_record(record: Mapping[str, Any] | None) -> Budget:
    return Budget(**record) if record else Budget()


def to_record(budget: Budget) -> dict[str, int | None]:
    """Raises InvalidInput for numbers that let nothing through."""
    known = {"jobs": budget.jobs, "bandwidth": budget.bandwidth, "starts": budget.starts}
    for word, number in known.items():
        least = 0 if word == "jobs" else 1
        if number is not None and number < least:
            raise InvalidInput(
                f"a budget of {number} for {word} makes no sense", hint="Leave it out: no bound."
            )
    return known
