"""How a fleet command ends when some of it failed."""

from __future__ import annotations

from collections.abc import Mapping

from hypersdk import HyperSDKError, PartialFailure
from hypersdk.cli import words


def raise_failures(failures: Mapping[str, HyperSDKError], total: int, what: str) -> None:
    """What failed alone is the failure; of several, each is named, and the status is 3."""
    if not failures:
        return
    if total == 1:
        raise next(iter(failures.values()))
    raise PartialFailure(f"{len(failures)} of {words.count(total, what)} failed", dict(failures))
