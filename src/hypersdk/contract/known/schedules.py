"""Schedules as the known routes name them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment
from hypersdk.contract.known.base import OPTIONAL
from hypersdk.contract.known.jobs import JobDefinition, ShownDefinition

DayName = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


class KnownDependency(Asked):
    #: Of a schedule, or of a job.
    job_id: str
    required_state: Literal["completed", "failed", "any"] = "completed"
    #: Seconds; only 0 (wait as long as it takes) is offered.
    timeout: int = Field(default=0, ge=0)


class KnownRetryPolicy(Asked):
    max_attempts: int = Field(default=1, ge=1, le=100)
    #: Seconds.
    initial_delay: int = Field(default=30, ge=0)
    max_delay: int = Field(default=3600, ge=0)
    backoff_strategy: Literal["linear", "exponential", "fibonacci"] = "exponential"
    #: Names of error classes, such as ``StoreUnavailable``.
    retry_on_errors: list[str] = []


class KnownWindow(Asked):
    #: ``HH:MM``.
    start_time: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end_time: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    days: list[DayName] = []
    timezone: str = "UTC"


class KnownCondition(Asked):
    type: str = ""
    operator: str = ""
    value: str | int | float | bool | None = None
    params: dict[str, str | int | float | bool] = {}


class AdvancedConfig(Asked):
    """When its jobs may run. ``conditions`` and ``notify_on_…`` are refused: see the docs."""

    depends_on: list[KnownDependency] = []
    retry_policy: KnownRetryPolicy | None = None
    time_windows: list[KnownWindow] = []
    priority: int = Field(default=50, ge=0, le=100)
    conditions: list[KnownCondition] = []
    #: 0 and 1 are offered; 1 is the same as ``skip_if_running``.
    max_concurrent: int = Field(default=0, ge=0)
    skip_if_running: bool | None = None
    notify_on_start: bool = False
    notify_on_success: bool = False
    notify_on_failure: bool = False


class ScheduledJob(Asked):
    """A schedule to be, or what one becomes. What the daemon keeps itself may be sent back and is
    not looked at: ``created_at updated_at next_run last_run run_count``."""

    id: str = ""
    name: str = ""
    description: str = ""
    #: Five fields of cron.
    schedule: str = Field(min_length=1)
    job_template: JobDefinition
    #: Left out of a change: as it was.
    enabled: bool | None = None
    tags: list[str] | None = None
    advanced_config: AdvancedConfig | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
    next_run: Moment | None = None
    last_run: Moment | None = None
    run_count: int = 0


class ShownSchedule(Answer):
    id: str
    name: str
    description: str
    schedule: str
    job_template: ShownDefinition
    enabled: bool
    created_at: Moment
    updated_at: Moment
    #: None while it is disabled.
    next_run: Moment | None
    last_run: Moment | None = OPTIONAL
    run_count: int
    tags: list[str] | None = OPTIONAL
    advanced_config: AdvancedConfig | None = OPTIONAL


class SchedulesAnswer(Answer):
    schedules: list[ShownSchedule]
    total: int
    timestamp: Moment


class ScheduleMade(Answer):
    message: str
    schedule: ShownSchedule


class TriggeredAnswer(Answer):
    message: str
    job_id: str


class ScheduleStats(Answer):
    total_schedules: int
    enabled_schedules: int
    total_runs: int
    #: The next moment at which one of them begins a job.
    next_running: Moment | None = OPTIONAL
