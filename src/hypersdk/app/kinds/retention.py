"""Which points stay: from a request to the policy."""

from __future__ import annotations

from hypersdk.contract.kinds import RetentionRecord
from hypersdk.model.errors import InvalidInput
from hypersdk.model.points import RetentionPolicy
from hypersdk.model.units import parse_duration


def policy_of(asked: RetentionRecord, field: str) -> RetentionPolicy:
    """Raises InvalidInput when it would keep nothing."""
    policy = RetentionPolicy(
        last=asked.last,
        hourly=asked.hourly,
        daily=asked.daily,
        weekly=asked.weekly,
        monthly=asked.monthly,
        yearly=asked.yearly,
        within=parse_duration(asked.within) if asked.within else None,
    )
    if policy == RetentionPolicy():
        raise InvalidInput(
            f"request.{field} keeps nothing at all",
            hint='Name a rule at least: {"last": 7}, {"daily": 14, "within": "2d"}.',
        )
    return policy
