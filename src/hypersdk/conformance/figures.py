"""From raw samples to figures, and what is slower than it was."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from hypersdk.conformance.results import Sample

#: A median may be worse by this share before it is called a regression …
SLOWER = 0.25
#: … and by so many seconds: below, it is the machine's noise.
NOISE = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One operation. Seconds."""

    operation: str
    count: int
    minimum: float
    median: float
    p95: float
    p99: float
    maximum: float
    samples: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """An operation that became slower than noise explains."""

    hypervisor: str
    operation: str
    before: Figures
    now: Figures

    @property
    def share(self) -> float:
        """0.5: it takes half as long again."""
        return self.now.median / self.before.median - 1 if self.before.median else 0.0


def figures(samples: Sequence[Sample]) -> tuple[Figures, ...]:
    """One per operation, in the order in which operations were first measured."""
    return tuple(
        _figures(operation, [each.seconds for each in samples if each.operation == operation])
        for operation in dict.fromkeys(each.operation for each in samples)
    )


def slower(before: Figures, now: Figures, *, threshold: float = SLOWER) -> bool:
    """The median is worse by ``threshold`` and beyond what nearly all samples took before."""
    return (
        now.median > before.median * (1 + threshold)
        and now.median > before.p95
        and now.median - before.median > NOISE
    )


def _figures(operation: str, seconds: list[float]) -> Figures:
    # With one sample there is nothing to interpolate between.
    cuts = statistics.quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else []
    return Figures(
        operation=operation,
        count=len(seconds),
        minimum=min(seconds),
        median=statistics.median(seconds),
        p95=cuts[94] if cuts else seconds[0],
        p99=cuts[98] if cuts else seconds[0],
        maximum=max(seconds),
        samples=tuple(seconds),
    )
