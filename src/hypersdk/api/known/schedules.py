"""Known schedules as the daemon's own, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from typing import cast

from hypersdk.api.known import shown
from hypersdk.api.known.definitions import Submitting
from hypersdk.api.services import Services
from hypersdk.contract.known.schedules import (
    AdvancedConfig,
    DayName,
    KnownDependency,
    KnownRetryPolicy,
    KnownWindow,
    ScheduledJob,
    ShownSchedule,
)
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidInput, NotFound, NotSupported
from hypersdk.model.jobs import Backoff, NewJob, RetryPolicy
from hypersdk.model.schedules import After, CatchUp, NewSchedule, Schedule, Weekday, Window

#: Of schedules that say nothing else.
_USUAL = AdvancedConfig()


def new(
    services: Services, who: Principal, wanted: ScheduledJob, hypervisor: str, old: Schedule | None
) -> NewSchedule:
    """``old``: what it was, whose values stand where ``wanted`` says nothing. Raises InvalidInput,
    NotSupported, NotFound."""
    advanced = wanted.advanced_config or _USUAL
    _refuse(advanced)
    document = wanted.job_template.model_dump(mode="json", exclude_unset=True)
    document.pop("created_at", None)
    document.pop("id", None)
    template = Submitting(services, who, hypervisor=hypervisor, later=True).job(
        document, "job_template"
    )
    id = old.id if old else wanted.id
    return NewSchedule(
        id=id,
        name=wanted.name or (old.name if old else id),
        cron=wanted.schedule,
        # Another time zone than the one it has cannot be said here.
        zone=old.zone if old else "UTC",
        job=_template(template, advanced),
        description=wanted.description or (old.description if old else ""),
        enabled=wanted.enabled if wanted.enabled is not None else (old.enabled if old else True),
        windows=tuple(_window(each) for each in advanced.time_windows),
        after=tuple(_after(services, who, each) for each in advanced.depends_on),
        skip_if_running=_skips(advanced, old),
        catch_up=old.catch_up if old else CatchUp.SKIP,
        retention=old.retention if old else None,
        tenant=who.tenant,
        owner=who.user,
        tags=_tags(wanted.tags, old),
    )


def shown_schedule(found: Schedule) -> ShownSchedule:
    return ShownSchedule(
        id=found.id,
        name=found.name,
        description=found.description,
        schedule=found.cron,
        job_template=shown.definition(found.job, found.created),
        enabled=found.enabled,
        created_at=found.created,
        updated_at=found.updated,
        next_run=found.next_run,
        last_run=found.last_run,
        run_count=found.runs,
        tags=[name if not value else f"{name}={value}" for name, value in found.tags.items()]
        or None,
        advanced_config=_advanced(found),
    )


def _refuse(advanced: AdvancedConfig) -> None:
    if advanced.conditions:
        raise NotSupported(
            "advanced_config.conditions: the daemon evaluates none",
            hint="Say when jobs may run with time_windows and depends_on.",
        )
    for name in ("notify_on_start", "notify_on_success", "notify_on_failure"):
        if getattr(advanced, name):
            raise NotSupported(
                f"advanced_config.{name}: schedules tell nobody themselves",
                hint="Add a webhook for schedule.* and job.*: POST /webhooks",
            )
    if advanced.max_concurrent > 1:
        raise NotSupported(
            f"advanced_config.max_concurrent: {advanced.max_concurrent} jobs of one schedule at "
            "once cannot be bounded",
            hint="Say 1 for one at a time, or skip_if_running: false for no bound.",
        )
    for each in advanced.depends_on:
        if each.timeout:
            raise NotSupported(
                "advanced_config.depends_on.timeout: a dependency has none",
                hint="Say 0: a moment at which it is not fulfilled passes without a job.",
            )


def _template(job: NewJob, advanced: AdvancedConfig) -> NewJob:
    policy = advanced.retry_policy
    retry = RetryPolicy()
    if policy is not None:
        retry = RetryPolicy(
            attempts=policy.max_attempts,
            delay=float(policy.initial_delay),
            longest=float(policy.max_delay),
            backoff=Backoff(policy.backoff_strategy),
            errors=tuple(policy.retry_on_errors),
        )
    return replace(job, id="", priority=advanced.priority, retry=retry)


def _window(window: KnownWindow) -> Window:
    days = frozenset(Weekday[day.upper()] for day in window.days) or frozenset(Weekday)
    return Window(
        time.fromisoformat(window.start_time),
        time.fromisoformat(window.end_time),
        days,
        window.timezone,
    )


def _after(services: Services, who: Principal, dependency: KnownDependency) -> After:
    try:
        found = services.schedules.get(dependency.job_id, tenant=who.tenant or None)
    except NotFound as error:
        raise InvalidInput(
            f"advanced_config.depends_on: there is no schedule '{dependency.job_id}'",
            hint="Schedules wait for each other: give the id of one.",
        ) from error
    return After(found.id, dependency.required_state)


def _skips(advanced: AdvancedConfig, old: Schedule | None) -> bool:
    if advanced.skip_if_running is not None:
        return advanced.skip_if_running
    if advanced.max_concurrent == 1:
        return True
    return old.skip_if_running if old else True


def _tags(tags: list[str] | None, old: Schedule | None) -> Mapping[str, str]:
    """``nightly`` and ``tier=gold``."""
    if tags is None:
        return old.tags if old else {}
    return {name: value for name, _, value in (tag.partition("=") for tag in tags) if name}


def _advanced(found: Schedule) -> AdvancedConfig:
    policy = found.job.retry
    return AdvancedConfig.model_construct(
        depends_on=[
            KnownDependency.model_construct(
                job_id=each.schedule, required_state=each.required, timeout=0
            )
            for each in found.after
        ],
        retry_policy=KnownRetryPolicy.model_construct(
            max_attempts=policy.attempts,
            initial_delay=int(policy.delay),
            max_delay=int(policy.longest),
            backoff_strategy=policy.backoff.value,
            retry_on_errors=list(policy.errors),
        ),
        time_windows=[_shown_window(each) for each in found.windows],
        priority=found.job.priority,
        conditions=[],
        max_concurrent=1 if found.skip_if_running else 0,
        skip_if_running=found.skip_if_running,
        notify_on_start=False,
        notify_on_success=False,
        notify_on_failure=False,
    )


def _shown_window(window: Window) -> KnownWindow:
    days = sorted(window.days, key=lambda day: day.value)
    return KnownWindow(
        start_time=window.start.strftime("%H:%M"),
        end_time=window.end.strftime("%H:%M"),
        days=[cast("DayName", day.name.capitalize()) for day in days],
        timezone=window.zone,
    )
