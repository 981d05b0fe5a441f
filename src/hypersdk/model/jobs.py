"""Jobs: durable runs of flows, as every layer of the daemon sees them.

::

    scheduled ──▶ pending ──▶ running ──▶ completed
                     ▲  │        │ ├────▶ failed ──▶ pending   (its retry policy, or by hand)
                     │  │        │ └────▶ cancelled
                     │  └────────┼──────▶ cancelled
                     └── paused ◀┘   paused ──▶ cancelled

A *run* is one attempt to do a job. Pausing ends a run and resuming begins another one, which goes
on from what is stored; so does a retry. A killed daemon continues the same run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from hypersdk.model.errors import HyperSDKError, InvalidState


class JobState(Enum):
    """Where a job is in its life."""

    #: Waits for a moment (``not_before``), or for other jobs.
    SCHEDULED = "scheduled"
    #: May run as soon as a worker and its budgets have room.
    PENDING = "pending"
    RUNNING = "running"
    #: Stopped on request; nothing of it runs. Resuming makes it pending.
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True when nothing happens any more by itself."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


#: State → states that may follow it.
TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.SCHEDULED: frozenset(
        {
            JobState.PENDING,
            JobState.PAUSED,
            JobState.CANCELLED,
            JobState.FAILED,  # what it waited for ended otherwise
        }
    ),
    JobState.PENDING: frozenset(
        {JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}
    ),
    JobState.RUNNING: frozenset(
        {
            JobState.COMPLETED,
            JobState.FAILED,
            JobState.CANCELLED,
            JobState.PAUSED,
            JobState.PENDING,  # drained, or to be tried again
            JobState.SCHEDULED,  # to be tried again later
        }
    ),
    JobState.PAUSED: frozenset(
        {
            JobState.PENDING,
            JobState.SCHEDULED,  # still waits for other jobs
            JobState.CANCELLED,
        }
    ),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset({JobState.PENDING}),
    JobState.CANCELLED: frozenset({JobState.PENDING}),
}


def follow(now: JobState, then: JobState, job: str) -> None:
    """Raise InvalidState unless a job in state ``now`` may become ``then``."""
    if then not in TRANSITIONS[now]:
        possible = ", ".join(sorted(each.value for each in TRANSITIONS[now])) or "nothing"
        raise InvalidState(
            f"job {job} is {now.value} and cannot become {then.value}",
            hint=f"From {now.value} it can become {possible}.",
        )


class Wish(Enum):
    """What somebody asked of a running job; its worker obeys within two seconds."""

    NONE = ""
    CANCEL = "cancel"
    PAUSE = "pause"


class Backoff(Enum):
    """How waits between tries grow."""

    LINEAR = "linear"
    EXPONENTIAL = "exponential"
    FIBONACCI = "fibonacci"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed run is tried again. Only errors that may pass (``retryable``) count, unless
    ``errors`` names others."""

    #: Runs in all, the first included.
    attempts: int = 1
    #: Seconds before the second run.
    delay: float = 30.0
    #: Seconds at most.
    longest: float = 3600.0
    backoff: Backoff = Backoff.EXPONENTIAL
    #: Names of error classes (``StoreUnavailable``) that are tried again besides retryable ones.
    errors: tuple[str, ...] = ()


class Required(Enum):
    """How another job must have ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Dependency:
    """A job waits until another one ended so. One that ended otherwise fails the waiting job."""

    job: str
    required: Required = Required.COMPLETED


@dataclass(frozen=True, slots=True)
class JobProgress:
    """One look at a job. Amounts are bytes unless the kind says otherwise."""

    #: What is being done, a word: ``connecting``, ``copying``, ``verifying``.
    phase: str = ""
    #: On what: ``web-1/vda``.
    subject: str = ""
    done: int = 0
    total: int = 0
    #: 0 … 100; None while unknown.
    percent: float | None = None
    #: Bytes per second.
    rate: float = 0.0
    #: Seconds left; None while unknown.
    eta: float | None = None


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed, as data."""

    #: Class of the error: ``HypervisorUnreachable``.
    kind: str
    message: str
    hint: str = ""
    retryable: bool = False

    @classmethod
    def of(cls, error: BaseException) -> JobError:
        """Secrets are not taken out here: the store redacts whatever it keeps."""
        if isinstance(error, HyperSDKError):
            return cls(type(error).__name__, error.message, error.hint, error.retryable)
        return cls(
            type(error).__name__,
            str(error) or type(error).__name__,
            "This is a fault of the daemon; the job's log has its traceback.",
        )


@dataclass(frozen=True, slots=True)
class JobLog:
    """One line of a job's log."""

    #: Counts from 1 in each job.
    number: int
    time: datetime
    #: ``debug``, ``info``, ``warning`` or ``error``.
    level: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What is submitted."""

    #: ``backup``, ``export`` …; see `app.kinds`.
    kind: str
    #: Of this kind's own schema, as JSON. Never holds a secret, only references to secrets.
    request: Mapping[str, Any]
    #: For people; empty: made of kind and subject.
    name: str = ""
    #: Of whom; empty: of the daemon itself.
    tenant: str = ""
    #: Who submitted it.
    owner: str = ""
    #: Workers listen to queues; a site has its own.
    queue: str = "default"
    #: 0 … 100; greater ones first.
    priority: int = 50
    #: What it uses while it runs, with room for so many at once: ``hypervisor:lab``,
    #: ``host:lab/esx1``, ``datastore:lab/fast``, ``repository:main``.
    resources: tuple[str, ...] = ()
    #: Not begun before this moment.
    not_before: datetime | None = None
    depends_on: tuple[Dependency, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    #: Jobs of one key that have not ended are one job: submitting answers the first one's id.
    dedup: str = ""
    #: Id of the schedule or the batch that it came from.
    schedule: str = ""
    parent: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Given by the caller so that submitting twice makes one job; empty: made.
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is stored."""

    id: str
    kind: str
    name: str
    request: Mapping[str, Any]
    state: JobState
    wish: Wish = Wish.NONE
    tenant: str = ""
    owner: str = ""
    queue: str = "default"
    priority: int = 50
    resources: tuple[str, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    dedup: str = ""
    schedule: str = ""
    parent: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    created: datetime
    not_before: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    updated: datetime
    #: Counts its runs from 1; 0 before the first.
    run: int = 0
    #: Who runs it, or ran it last.
    worker: str = ""
    progress: JobProgress = JobProgress()
    #: Of the kind's own schema; None until it completed.
    result: Mapping[str, Any] | None = None
    error: JobError | None = None
    #: Grows with every change of any job; the cursor of those who follow changes.
    revision: int = 0

    @property
    def duration(self) -> timedelta | None:
        """From its first start to its end."""
        if self.started is None or self.ended is None:
            return None
        return self.ended - self.started


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list. Empty fields do not restrict."""

    states: frozenset[JobState] = frozenset()
    ids: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    tenant: str | None = None
    schedule: str = ""
    parent: str = ""
    #: Found in name or request, case-insensitive.
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
