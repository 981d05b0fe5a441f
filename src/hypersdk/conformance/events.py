"""What a child tells the runner while it works: one JSON object per line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias

from hypersdk.conformance.reports.document import plain, record
from hypersdk.conformance.results import CaseResult, Sample
from hypersdk.conformance.target import Site
from hypersdk.model.capabilities import Capability
from hypersdk.model.errors import InvalidInput
from hypersdk.model.hosts import HostInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one child is to do; the runner writes it to its standard input."""

    url: str
    site: Site
    suites: tuple[str, ...] = ()
    #: Patterns of case ids, as of a shell; none: all.
    cases: tuple[str, ...] = ()
    #: Seconds that one case may take.
    case_timeout: float = 60.0
    #: False: only the benchmark.
    test: bool = True
    #: Samples of each operation that the benchmark takes; 0: no benchmark.
    samples: int = 0
    #: Rounds of the benchmark that are not kept.
    warm_up: int = 1
    #: Instances of the benchmark of many at once; 0: none.
    crowd: int = 0


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """A case that will run."""

    case: str
    requirement: str
    title: str


@dataclass(frozen=True, slots=True)
class Connected:
    """The hypervisor answered."""

    host: HostInfo | None
    capabilities: tuple[Capability, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """The cases that will run, in this order."""

    cases: tuple[PlannedCase, ...]


@dataclass(frozen=True, slots=True)
class CaseEnded:
    result: CaseResult


@dataclass(frozen=True, slots=True)
class Sampled:
    sample: Sample


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something could not be done; the child goes on with what it can."""

    problem: str


@dataclass(frozen=True, slots=True)
class Done:
    """The child has done all that it could. A child that ends without this was ended."""


Event: TypeAlias = Connected | Planned | CaseEnded | Sampled | Trouble | Done

_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (Connected, Planned, CaseEnded, Sampled, Trouble, Done)
}


def line(event: Event) -> bytes:
    """One line, with its end."""
    return json.dumps({"event": type(event).__name__, **plain(event)}).encode() + b"\n"


def parse(raw: bytes) -> Event:
    """Raises InvalidInput for anything that `line` did not write."""
    try:
        content = json.loads(raw)
        kind = _KINDS[content["event"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"no event: {raw[:200]!r}") from error
    return record(kind, content)
