"""Jobs in the shape of the known routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from hypersdk.api.known.definitions import (
    KIND,
    METHOD,
    NAME_TAG,
    PATH_TAG,
    shown_tags,
)
from hypersdk.api.known.spelling import duration, nanoseconds, now
from hypersdk.contract.known.jobs import (
    Eta,
    EtaAnswer,
    KnownJob,
    KnownLogLine,
    KnownProgress,
    KnownResult,
    KnownStatus,
    ProgressAnswer,
    ShownDefinition,
    ShownOptions,
)
from hypersdk.model.jobs import Job, JobLog, JobState, NewJob
from hypersdk.model.units import MIB

_STATUS: Mapping[JobState, KnownStatus] = {
    JobState.SCHEDULED: "pending",
    JobState.PENDING: "pending",
    JobState.PAUSED: "pending",
    JobState.RUNNING: "running",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
#: Fields of a request that say what a job of any kind is about.
_SUBJECTS = ("instance", "image", "source", "repository", "hypervisor")
_OUTPUTS = ("output", "to_folder", "target")


def status(job: Job) -> KnownStatus:
    return _STATUS[job.state]


def states(words: list[KnownStatus]) -> frozenset[JobState]:
    """Those that a word stands for."""
    return frozenset(state for state, word in _STATUS.items() if word in words)


def job(found: Job) -> KnownJob:
    return KnownJob(
        definition=definition(found),
        status=status(found),
        paused=True if found.state is JobState.PAUSED else None,
        progress=progress(found) if _has_progress(found) else None,
        result=result(found),
        error=_error(found),
        started_at=found.started,
        completed_at=found.ended,
        updated_at=found.updated,
    )


def definition(found: Job | NewJob, created: Any = None) -> ShownDefinition:
    """``created``: of a job that is not one yet."""
    request, tags = found.request, found.tags
    metadata = shown_tags(tags)
    metadata["hypervisor"] = str(request.get("hypervisor", ""))
    if found.kind != KIND:
        metadata["kind"] = found.kind
    output = _first(request, _OUTPUTS)
    parallel = request.get("parallel")
    return ShownDefinition(
        id=found.id,
        name=tags.get(NAME_TAG, found.name),
        vm_path=tags.get(PATH_TAG, _first(request, _SUBJECTS)),
        output_path=output,
        output_dir=output,
        options=None if parallel is None else ShownOptions(parallel_downloads=parallel),
        format=str(request.get("format", "ovf" if found.kind == KIND else "")),
        compress=bool(request.get("compress", False)),
        created_at=found.created if isinstance(found, Job) else created,
        metadata={name: value for name, value in metadata.items() if value},
    )


def progress(found: Job) -> KnownProgress:
    seen, files = found.progress, _files(found)
    complete = found.state is JobState.COMPLETED
    return KnownProgress(
        phase=seen.phase or ("completed" if complete else ""),
        current_file=seen.subject,
        current_step=f"{seen.phase} {seen.subject}".strip(),
        files_downloaded=len(files),
        total_files=len(files),
        bytes_downloaded=seen.done,
        total_bytes=seen.total,
        percent_complete=percent(found),
        estimated_remaining="" if seen.eta is None or found.state.ended else duration(seen.eta),
        export_method=METHOD if found.kind == KIND else "",
    )


def percent(found: Job) -> float:
    if found.state is JobState.COMPLETED:
        return 100.0
    seen = found.progress
    if seen.percent is not None:
        return round(seen.percent, 2)
    return round(100 * seen.done / seen.total, 2) if seen.total else 0.0


def result(found: Job) -> KnownResult | None:
    if found.result is None:
        return None
    made, files = found.result, _files(found)
    seconds = found.duration.total_seconds() if found.duration else 0.0
    return KnownResult(
        vm_name=str(made.get("instance", "")),
        output_dir=str(made.get("folder") or _first(found.request, _OUTPUTS)),
        ovf_path=str(made.get("ovf_path", "")),
        files=files,
        output_files=files or None,
        total_size=int(made.get("size") or 0),
        duration=nanoseconds(seconds),
        success=found.state is JobState.COMPLETED,
        export_method=METHOD if found.kind == KIND else None,
    )


def how_far(found: Job) -> ProgressAnswer:
    """For ``/jobs/progress``."""
    moment = now()
    running = found.state is JobState.RUNNING
    elapsed = None
    if found.started is not None:
        elapsed = ((found.ended or moment) - found.started).total_seconds()
    return ProgressAnswer(
        job_id=found.id,
        status=status(found),
        timestamp=moment,
        progress=progress(found) if _has_progress(found) else None,
        transfer_rate_mbps=round(found.progress.rate / MIB, 3) if running else None,
        started_at=found.started,
        elapsed_seconds=elapsed,
        completed_at=found.ended,
        error=_error(found),
    )


def until_end(found: Job) -> EtaAnswer:
    """For ``/jobs/eta``. The daemon's own estimate, else by the part that is done."""
    return EtaAnswer(job_id=found.id, status=status(found), eta=_eta(found), timestamp=now())


def _eta(found: Job) -> Eta:
    if found.state.ended:
        spent = found.duration
        return Eta(
            message=f"Job already {status(found)}",
            total_duration=None if spent is None else duration(spent.total_seconds()),
        )
    if found.state is not JobState.RUNNING or found.started is None:
        return Eta(message="Job not started yet", status=status(found))
    moment = now()
    elapsed = (moment - found.started).total_seconds()
    left = _seconds_left(found, elapsed)
    if left is None:
        return Eta(message="ETA calculation not available yet", elapsed=duration(elapsed))
    seen = found.progress
    return Eta(
        estimated_completion=moment.fromtimestamp(moment.timestamp() + left, moment.tzinfo),
        time_remaining=duration(left),
        time_remaining_seconds=round(left, 3),
        elapsed=duration(elapsed),
        elapsed_seconds=round(elapsed, 3),
        percent_complete=percent(found),
        transfer_rate_mbps=round(seen.rate / MIB, 3),
        bytes_remaining=max(0, seen.total - seen.done),
    )


def _seconds_left(found: Job, elapsed: float) -> float | None:
    if found.progress.eta is not None:
        return max(0.0, found.progress.eta)
    part = percent(found)
    return elapsed * (100 - part) / part if 0 < part < 100 else None


def log_line(line: JobLog) -> KnownLogLine:
    details = dict(line.details)
    error = details.pop("error", None)
    return KnownLogLine(
        timestamp=line.time,
        level="warn" if line.level == "warning" else line.level,
        message=line.message,
        details=details or None,
        error=None if error is None else str(error),
    )


def _has_progress(found: Job) -> bool:
    return found.started is not None


def _files(found: Job) -> list[str]:
    files = (found.result or {}).get("files") or []
    return [str(each) for each in cast("list[object]", files)]


def _error(found: Job) -> str | None:
    if found.error is None:
        return None
    hint = f" ({found.error.hint})" if found.error.hint else ""
    return f"{found.error.message}{hint}"


def _first(request: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((str(request[name]) for name in names if request.get(name)), "")
