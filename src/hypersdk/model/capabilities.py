"""What a hypervisor can do: computed from the parts of its driver, graded by what they lack."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Grade(Enum):
    """How much of a part there is."""

    FULL = "full"
    #: Something is missing; a ``Limit`` says what.
    PARTIAL = "partial"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Limit:
    """An aspect of a part that this hypervisor does not offer.

    Using it all the same raises NotSupported before anything is changed.
    """

    #: The part and the aspect, as the conformance kit calls the requirement: ``snapshots.memory``.
    aspect: str
    #: Why, for a person.
    note: str


@dataclass(frozen=True, slots=True)
class Capability:
    """One part of a hypervisor."""

    part: str
    grade: Grade
    limits: tuple[Limit, ...] = ()
