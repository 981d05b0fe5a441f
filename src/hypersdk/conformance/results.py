"""What a run found: one model, from which every report is made. Never synthesised: a record is
made by the engine when a case ended, and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from hypersdk.model.capabilities import Capability
from hypersdk.model.hosts import HostInfo


class Verdict(Enum):
    """How a case ended. Skipped is not passed."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One case on one hypervisor."""

    #: ``snapshots.revert_brings_back_the_disk``; the same on all hypervisors.
    case: str
    #: Requirement that it tests: ``snapshots``, ``snapshots.memory``, ``core``.
    requirement: str
    #: The case in one sentence.
    title: str
    verdict: Verdict
    #: Why it was skipped, or what was wrong; empty when it passed.
    reason: str = ""
    #: Stack of a failure.
    trace: str = ""
    #: What it left in the backend; any makes it a failure.
    leaks: tuple[str, ...] = ()
    began: datetime
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One timed operation of the benchmark."""

    #: ``create``, ``start``, ``stop``, ``delete``, ``snapshot``, ``list``, ``status``.
    operation: str
    #: 0, 1, 2 …; warm-up samples are not kept.
    index: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervisorResult:
    """All that was found about one hypervisor."""

    url: str
    #: URL scheme of its driver.
    driver: str
    host: HostInfo | None
    capabilities: tuple[Capability, ...] = ()
    cases: tuple[CaseResult, ...] = ()
    samples: tuple[Sample, ...] = ()
    #: Why nothing, or not all, could run; empty when all cases ended by themselves.
    problem: str = ""
    began: datetime
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the kit."""

    #: ULID.
    id: str
    began: datetime
    seconds: float
    #: Version of HyperSDK and Python, the machine's processors, memory, kernel; no secrets.
    environment: Mapping[str, str] = field(default_factory=dict)
    hypervisors: tuple[HypervisorResult, ...] = ()
