"""What a measure of the daemon gives: a name, a value, and what is wanted of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result."""

    name: str
    value: float
    unit: str
    #: At least or at most so much (``≤ 2``, ``< 20``, ``≥ 1500``); empty: nothing.
    wanted: str = ""

    @property
    def met(self) -> bool | None:
        """None when nothing is wanted."""
        if not self.wanted:
            return None
        sign, _, number = self.wanted.partition(" ")
        bound = float(number)
        return {"≤": self.value <= bound, "<": self.value < bound, "≥": self.value >= bound}[sign]

    @property
    def verdict(self) -> str:
        return {None: "", True: "yes", False: "NO"}[self.met]

    @property
    def text(self) -> str:
        """The value with its unit."""
        shown = f"{self.value:.0f}" if self.value >= 100 else f"{self.value:.2f}"
        return f"{shown} {self.unit}"
