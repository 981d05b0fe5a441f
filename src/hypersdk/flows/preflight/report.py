"""What pre-flight found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hypersdk.model.concerns import Concern, Severity
from hypersdk.model.details import InstanceDetails
from hypersdk.model.errors import Conflict


class ConcernsFound(Conflict):
    """Pre-flight found something critical, and nobody said to go on regardless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightReport:
    """Concerns about one instance, the gravest first."""

    details: InstanceDetails
    concerns: tuple[Concern, ...]

    @property
    def counts(self) -> Mapping[Severity, int]:
        """How many there are of each severity."""
        return {
            severity: sum(concern.severity is severity for concern in self.concerns)
            for severity in Severity
        }

    @property
    def blocks(self) -> bool:
        """Something critical was found: do not begin, unless someone insists."""
        return any(concern.severity is Severity.CRITICAL for concern in self.concerns)

    def demand(self, *, forced: bool = False) -> None:
        """Raise ConcernsFound with what is critical, unless ``forced``."""
        if forced or not self.blocks:
            return
        critical = [each for each in self.concerns if each.severity is Severity.CRITICAL]
        name = self.details.instance.name
        said = "; ".join(f"{each.message} [{each.id}]" for each in critical)
        fixes = " ".join(dict.fromkeys(each.fix for each in critical if each.fix))
        raise ConcernsFound(
            f"{name} was not begun, {len(critical)} critical: {said}",
            hint=f"{fixes} To go on regardless: --force.".strip(),
        )
