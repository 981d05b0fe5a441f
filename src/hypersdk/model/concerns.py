"""What may go wrong with an operation, said before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How much it matters."""

    #: It will fail, or lose something.
    CRITICAL = "critical"
    #: Something will be different, or has to be done by hand.
    WARNING = "warning"
    #: Worth to know.
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Concern:
    """One finding."""

    #: Stable, for scripts: ``disk.independent``.
    id: str
    severity: Severity
    #: What was found, and on what: one sentence.
    message: str
    #: What to do about it.
    fix: str = ""
