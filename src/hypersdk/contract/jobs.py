"""Jobs and schedules on the wire, under ``/v1``."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from hypersdk.contract.base import Answer, Asked, Moment

JobStateWord = Literal[
    "scheduled", "pending", "running", "paused", "completed", "failed", "cancelled"
]


class RetryRecord(Asked):
    attempts: int = Field(default=1, ge=1, le=100)
    #: Seconds.
    delay: float = Field(default=30.0, ge=0)
    longest: float = Field(default=3600.0, ge=0)
    backoff: Literal["linear", "exponential", "fibonacci"] = "exponential"
    errors: list[str] = []


class DependencyRecord(Asked):
    job: str
    required: Literal["completed", "failed", "any"] = "completed"


class NewJobRecord(Asked):
    """A job to be."""

    kind: str
    #: Of the kind's own schema; see ``GET /v1/job-kinds``.
    request: dict[str, Any]
    name: str = ""
    priority: int = Field(default=50, ge=0, le=100)
    not_before: Moment | None = None
    depends_on: list[DependencyRecord] = []
    retry: RetryRecord = RetryRecord()
    tags: dict[str, str] = {}
    #: Active jobs of one key are one job; null: the kind's own key, "": none.
    dedup: str | None = None


#: Jobs in one submission.
SUBMIT_MOST = 10_000
_Jobs = Annotated[list[NewJobRecord], Field(min_length=1, max_length=SUBMIT_MOST)]


class NewJobsRecord(Asked):
    """Several jobs to be."""

    jobs: _Jobs


def _form(body: Any) -> str:
    if isinstance(body, list):
        return "(list)"
    several = isinstance(body, NewJobsRecord) or (isinstance(body, dict) and "jobs" in body)
    return "(jobs)" if several else "(one)"


#: One job, ``{"jobs": […]}``, or an array. The form decides which of them is meant, so that what
#: is wrong is said of that one.
Submission = Annotated[
    Annotated[NewJobRecord, Tag("(one)")]
    | Annotated[NewJobsRecord, Tag("(jobs)")]
    | Annotated[_Jobs, Tag("(list)")],
    Discriminator(_form),
]


class PriorityRecord(Asked):
    priority: int = Field(ge=0, le=100)


class ProgressRecord(Answer):
    phase: str = ""
    subject: str = ""
    #: Bytes, unless the kind says otherwise.
    done: int = 0
    total: int = 0
    percent: float | None = None
    #: Bytes per second.
    rate: float = 0.0
    #: Seconds.
    eta: float | None = None


class JobErrorRecord(Answer):
    kind: str
    message: str
    hint: str = ""
    retryable: bool = False


class JobRecord(Answer):
    """A job."""

    id: str
    kind: str
    name: str
    state: JobStateWord
    #: What was asked of it and is about to happen: "", "cancel" or "pause".
    wish: str = ""
    request: dict[str, Any]
    tenant: str = ""
    owner: str = ""
    queue: str = "default"
    priority: int = 50
    resources: list[str] = []
    depends_on: list[DependencyRecord] = []
    retry: RetryRecord = RetryRecord()
    schedule: str = ""
    parent: str = ""
    tags: dict[str, str] = {}
    created: Moment
    not_before: Moment | None = None
    started: Moment | None = None
    ended: Moment | None = None
    updated: Moment
    run: int = 0
    worker: str = ""
    progress: ProgressRecord = ProgressRecord()
    result: dict[str, Any] | None = None
    error: JobErrorRecord | None = None
    revision: int = 0


class SubmittedRecord(Answer):
    """Answer to one submitted job."""

    id: str
    #: False: an active job of the same key was there already.
    new: bool


class OutcomeRecord(Answer):
    """What became of one submitted job: its id, or why it was refused."""

    id: str = ""
    new: bool = False
    error: JobErrorRecord | None = None


class OutcomesRecord(Answer):
    """Answer to a submission, in its order."""

    items: list[OutcomeRecord]
    accepted: int
    rejected: int


class LogRecord(Answer):
    number: int
    time: Moment
    level: str
    message: str
    details: dict[str, Any] = {}


class KindRecord(Answer):
    """A kind of job, with the JSON schemas of its request and result."""

    name: str
    summary: str
    request: dict[str, Any]
    result: dict[str, Any]


class KindsRecord(Answer):
    items: list[KindRecord]


class WindowRecord(Asked):
    start: time
    end: time
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = [
        "mon", "tue", "wed", "thu", "fri", "sat", "sun",
    ]  # fmt: skip
    zone: str = "UTC"


class AfterRecord(Asked):
    schedule: str
    required: Literal["completed", "failed", "any"] = "completed"


class NewScheduleRecord(Asked):
    """A schedule to be, or what one becomes."""

    name: str
    cron: str
    zone: str = "UTC"
    job: NewJobRecord
    description: str = ""
    enabled: bool = True
    windows: list[WindowRecord] = []
    after: list[AfterRecord] = []
    skip_if_running: bool = True
    catch_up: Literal["skip", "once"] = "skip"
    retention: dict[str, int | str] | None = None
    tags: dict[str, str] = {}


class ScheduleRecord(Answer):
    """A schedule."""

    id: str
    name: str
    cron: str
    zone: str = "UTC"
    job: NewJobRecord
    description: str = ""
    enabled: bool = True
    windows: list[WindowRecord] = []
    after: list[AfterRecord] = []
    skip_if_running: bool = True
    catch_up: Literal["skip", "once"] = "skip"
    retention: dict[str, int | str] | None = None
    tenant: str = ""
    owner: str = ""
    tags: dict[str, str] = {}
    created: Moment
    updated: Moment
    next_run: Moment | None = None
    last_run: Moment | None = None
    last_job: str = ""
    runs: int = 0
    skipped: str = ""
    revision: int = 0


class PreviewRecord(Answer):
    """Its next moments, with the windows taken into account."""

    moments: list[Moment]
