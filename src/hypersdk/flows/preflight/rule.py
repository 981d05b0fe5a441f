"""A rule: one thing that may go wrong, how it is recognised, and what to do about it.

A program of another author adds rules by an entry point of the group ``hypersdk.rules``, which
loads to a `Rule` or to an iterable of them::

    [project.entry-points."hypersdk.rules"]
    ours = "acme.rules:RULES"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from hypersdk.flows.preflight.subject import Errand, Subject
from hypersdk.model.concerns import Concern, Severity


class Needs(Enum):
    """Without which facts a rule has nothing to look at and is passed over."""

    #: Only the instance.
    INSTANCE = "instance"
    #: Where an export goes.
    DESTINATION = "destination"
    #: Where a package becomes an instance.
    ARRIVAL = "arrival"


#: From what is known to findings: each a sentence that names what was found, and on what.
Check = Callable[[Subject], Iterable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that may go wrong."""

    #: Stable, for scripts: ``disk.independent``.
    id: str
    #: What it looks for, in a few words.
    title: str
    severity: Severity
    #: Finds it. Unknown facts (None, empty text) must not be findings, and it must not raise.
    check: Check
    #: What to do about it: a sentence.
    fix: str
    needs: Needs = Needs.INSTANCE
    #: When it matters.
    errands: frozenset[Errand] = frozenset({Errand.EXPORT})

    def applies(self, subject: Subject) -> bool:
        """Whether there is anything to look at."""
        facts = {
            Needs.INSTANCE: subject.details,
            Needs.DESTINATION: subject.destination,
            Needs.ARRIVAL: subject.arrival,
        }
        return subject.errand in self.errands and facts[self.needs] is not None

    def concerns(self, subject: Subject) -> Iterator[Concern]:
        """What it finds."""
        if self.applies(subject):
            for message in self.check(subject):
                yield Concern(self.id, self.severity, message, self.fix)


#: For rules about what an instance is, wherever it comes from.
BOTH = frozenset(Errand)
