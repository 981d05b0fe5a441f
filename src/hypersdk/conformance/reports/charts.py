"""Numbers for the drawings of the HTML report; the template draws them as SVG.

A strip shows one operation on a logarithmic axis of time that it shares with its neighbours:
milliseconds and minutes stand side by side there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hypersdk.conformance.expectations import Expected
from hypersdk.conformance.figures import Figures

#: Of all strips, in the units of their drawing.
WIDTH = 320.0
#: More raw samples than this are drawn as every nth one.
TICKS = 200


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of the grid."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Strip:
    """One operation. All in units of the drawing, from the left."""

    #: Expected range: begin and width; None where nobody expected anything.
    band: tuple[float, float] | None
    minimum: float
    maximum: float
    median: float
    p95: float
    ticks: tuple[float, ...]


class Axis:
    """From time to place, the same for all strips of one table."""

    def __init__(self, seconds: Sequence[float]) -> None:
        # A clock may say zero; a tenth of a microsecond is nothing here.
        known = [max(each, 1e-7) for each in seconds]
        self._low = math.floor(math.log10(min(known)))
        self._high = max(math.ceil(math.log10(max(known))), self._low + 1)

    def __call__(self, seconds: float) -> float:
        share = (math.log10(max(seconds, 1e-7)) - self._low) / (self._high - self._low)
        return round(min(max(share, 0.0), 1.0) * WIDTH, 1)

    @property
    def grid(self) -> tuple[Mark, ...]:
        powers = range(self._low, self._high + 1)
        return tuple(Mark(self(10.0**power), _power(power)) for power in powers)


def axis(figures: Sequence[Figures], expected: Sequence[Expected | None]) -> Axis:
    """One that holds all samples and all expectations."""
    ends = [end for each in figures for end in (each.minimum, each.maximum)]
    ends += [end for each in expected if each is not None for end in (each.low, each.high)]
    return Axis(ends)


def strip(place: Axis, figures: Figures, expected: Expected | None) -> Strip:
    step = math.ceil(len(figures.samples) / TICKS)
    band = None
    if expected is not None:
        band = (place(expected.low), round(place(expected.high) - place(expected.low), 1))
    return Strip(
        band=band,
        minimum=place(figures.minimum),
        maximum=place(figures.maximum),
        median=place(figures.median),
        p95=place(figures.p95),
        ticks=tuple(place(each) for each in figures.samples[::step]),
    )


def _power(power: int) -> str:
    """``10 ms``, ``1 s``."""
    for unit, name in ((0, "s"), (-3, "ms"), (-6, "µs")):
        if power >= unit:
            return f"{10 ** (power - unit)} {name}"
    return f"{10.0 ** (power + 6):g} µs"
