"""Jobs and schedules."""

from __future__ import annotations

from hypersdk.contract.jobs import (
    AfterRecord,
    DependencyRecord,
    JobErrorRecord,
    JobRecord,
    LogRecord,
    NewJobRecord,
    NewScheduleRecord,
    ProgressRecord,
    RetryRecord,
    ScheduleRecord,
    WindowRecord,
)
from hypersdk.model.jobs import (
    Backoff,
    Dependency,
    Job,
    JobLog,
    JobProgress,
    NewJob,
    Required,
    RetryPolicy,
)
from hypersdk.model.schedules import (
    After,
    CatchUp,
    NewSchedule,
    Retention,
    Schedule,
    Weekday,
    Window,
)


def job_record(job: Job) -> JobRecord:
    error = job.error
    return JobRecord(
        id=job.id,
        kind=job.kind,
        name=job.name,
        state=job.state.value,
        wish=job.wish.value,
        request=dict(job.request),
        tenant=job.tenant,
        owner=job.owner,
        queue=job.queue,
        priority=job.priority,
        resources=list(job.resources),
        depends_on=_dependencies(job.depends_on),
        retry=_retry_record(job.retry),
        schedule=job.schedule,
        parent=job.parent,
        tags=dict(job.tags),
        created=job.created,
        not_before=job.not_before,
        started=job.started,
        ended=job.ended,
        updated=job.updated,
        run=job.run,
        worker=job.worker,
        progress=progress_record(job.progress),
        result=None if job.result is None else dict(job.result),
        error=None
        if error is None
        else JobErrorRecord(
            kind=error.kind, message=error.message, hint=error.hint, retryable=error.retryable
        ),
        revision=job.revision,
    )


def progress_record(progress: JobProgress) -> ProgressRecord:
    return ProgressRecord(
        phase=progress.phase,
        subject=progress.subject,
        done=progress.done,
        total=progress.total,
        percent=progress.percent,
        rate=progress.rate,
        eta=progress.eta,
    )


def log_record(line: JobLog) -> LogRecord:
    return LogRecord(
        number=line.number,
        time=line.time,
        level=line.level,
        message=line.message,
        details=dict(line.details),
    )


def retry_policy(record: RetryRecord) -> RetryPolicy:
    return RetryPolicy(
        attempts=record.attempts,
        delay=record.delay,
        longest=record.longest,
        backoff=Backoff(record.backoff),
        errors=tuple(record.errors),
    )


def dependencies(records: list[DependencyRecord]) -> tuple[Dependency, ...]:
    return tuple(Dependency(each.job, Required(each.required)) for each in records)


def schedule_record(schedule: Schedule) -> ScheduleRecord:
    return ScheduleRecord(
        id=schedule.id,
        name=schedule.name,
        cron=schedule.cron,
        zone=schedule.zone,
        job=_template(schedule.job),
        description=schedule.description,
        enabled=schedule.enabled,
        windows=[_window_record(each) for each in schedule.windows],
        after=[
            AfterRecord.model_validate({"schedule": each.schedule, "required": each.required})
            for each in schedule.after
        ],
        skip_if_running=schedule.skip_if_running,
        catch_up=schedule.catch_up.value,
        retention=None if schedule.retention is None else dict(schedule.retention.rules),
        tenant=schedule.tenant,
        owner=schedule.owner,
        tags=dict(schedule.tags),
        created=schedule.created,
        updated=schedule.updated,
        next_run=schedule.next_run,
        last_run=schedule.last_run,
        last_job=schedule.last_job,
        runs=schedule.runs,
        skipped=schedule.skipped,
        revision=schedule.revision,
    )


def new_schedule(record: NewScheduleRecord, job: NewJob, *, tenant: str, owner: str) -> NewSchedule:
    """``job`` is made of the record's own, and checked."""
    return NewSchedule(
        name=record.name,
        cron=record.cron,
        zone=record.zone,
        job=job,
        description=record.description,
        enabled=record.enabled,
        windows=tuple(
            Window(
                each.start,
                each.end,
                frozenset(Weekday[day.upper()] for day in each.days),
                each.zone,
            )
            for each in record.windows
        ),
        after=tuple(After(each.schedule, each.required) for each in record.after),
        skip_if_running=record.skip_if_running,
        catch_up=CatchUp(record.catch_up),
        retention=None if record.retention is None else Retention(rules=record.retention),
        tenant=tenant,
        owner=owner,
        tags=record.tags,
    )


def _template(job: NewJob) -> NewJobRecord:
    # What is stored may be of an earlier version, whose rules were others.
    return NewJobRecord.model_construct(
        kind=job.kind,
        request=dict(job.request),
        name=job.name,
        priority=job.priority,
        not_before=job.not_before,
        depends_on=_dependencies(job.depends_on),
        retry=_retry_record(job.retry),
        tags=dict(job.tags),
        dedup=job.dedup,
    )


def _dependencies(found: tuple[Dependency, ...]) -> list[DependencyRecord]:
    return [DependencyRecord(job=each.job, required=each.required.value) for each in found]


def _retry_record(policy: RetryPolicy) -> RetryRecord:
    return RetryRecord.model_construct(
        attempts=policy.attempts,
        delay=policy.delay,
        longest=policy.longest,
        backoff=policy.backoff.value,
        errors=list(policy.errors),
    )


def _window_record(window: Window) -> WindowRecord:
    days = sorted(window.days, key=lambda day: day.value)
    return WindowRecord.model_validate(
        {
            "start": window.start,
            "end": window.end,
            "days": [day.name.lower() for day in days],
            "zone": window.zone,
        }
    )
