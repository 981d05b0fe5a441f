"""Which cases a run has: suites, and patterns of ids."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from hypersdk.conformance.case import Case
from hypersdk.model.errors import InvalidInput


def matching(cases: Sequence[Case], patterns: Sequence[str]) -> tuple[Case, ...]:
    """Those whose id fits one of ``patterns`` (``snapshots.*``), in their order; all without any.

    Raises InvalidInput for a pattern that fits none: a run of nothing must not look like success.
    """
    for pattern in patterns:
        if not any(fnmatchcase(case.id, pattern) for case in cases):
            near = get_close_matches(pattern, [case.id for case in cases], n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise InvalidInput(
                f"no case fits '{pattern}'", hint=f"{meant}'hypersdk conform run --list' has all."
            )
    if not patterns:
        return tuple(cases)
    return tuple(case for case in cases if any(fnmatchcase(case.id, each) for each in patterns))
