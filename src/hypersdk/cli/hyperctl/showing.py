"""Jobs in words and tables, and bars while they run."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from hypersdk.cli import words
from hypersdk.cli.tables import Column, Table, left, right
from hypersdk.contract.jobs import JobRecord

#: State of a job that ended → exit status of a command that followed it.
STATUSES = {"completed": 0, "failed": 1, "cancelled": 130}


def table(jobs: Iterable[JobRecord]) -> Table:
    """Ids in full: they are typed again."""
    rows = (
        (
            job.id,
            job.name or job.kind,
            subject(job),
            job.state,
            percent(job),
            when(job.started),
            took(job),
        )
        for job in jobs
    )
    titles = ("Job ID", "Name", "VM Path", "Status")
    return Table((*left(*titles), *right("Progress"), Column("Started"), *right("Took")), rows)


def subject(job: JobRecord) -> str:
    """What the job is about, as far as its request says."""
    request = job.request
    where, what = request.get("hypervisor", ""), request.get("instance") or request.get("image", "")
    return "/".join(str(each) for each in (where, what or request.get("repository", "")) if each)


def percent(job: JobRecord) -> str:
    if job.state == "completed":
        return "100%"
    known = job.progress.percent
    return "" if known is None else f"{known:.1f}%"


def when(moment: datetime | None) -> str:
    """UTC, to the second."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def took(job: JobRecord) -> str:
    """Of a job that runs: until now."""
    if job.started is None:
        return ""
    ended = job.ended or datetime.now(UTC)
    return words.duration(max(0.0, (ended - job.started).total_seconds()))


def amounts(job: JobRecord) -> str:
    """``copying web/vda 1.2 GiB of 4.0 GiB, 210 MiB/s, 13 s left``"""
    progress = job.progress
    parts = [" ".join(each for each in (progress.phase, progress.subject) if each)]
    if progress.total:
        done, total = words.size(progress.done), words.size(progress.total)
        parts[0] = f"{parts[0]} {done} of {total}".strip()
    if progress.rate and job.state == "running":
        parts.append(f"{words.size(progress.rate)}/s")
    if progress.eta is not None and job.state == "running":
        parts.append(f"{words.duration(progress.eta)} left")
    return ", ".join(part for part in parts if part)


def failure(job: JobRecord) -> list[str]:
    """Why it failed, and what to do."""
    if job.error is None:
        return []
    return [f"{job.id}: {job.error.message}", *([f"  {job.error.hint}"] if job.error.hint else [])]
