"""One line of the results."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison, and its verdict."""

    measure: str
    #: What ours is compared with: a peer, or the quantity itself.
    against: str
    ours: str
    theirs: str
    figure: str
    bar: str = ""
    #: The ratio that the limit program reaches where ours is judged by one.
    floor: str = ""
    #: None where there is no bar.
    met: bool | None = None

    @property
    def verdict(self) -> str:
        return {True: "yes", False: "NO", None: ""}[self.met]
