"""Jobs in words and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from hypersdk.cli import words
from hypersdk.cli.tables import Column, Table
from hypersdk.cli.terminal import Terminal
from hypersdk.contract.jobs import JobRecord

#: State of a job that ended → exit status of a command that followed it.
STATUSES = {"completed": 0, "failed": 1, "cancelled": 130}
#: Columns of a terminal on which a table of jobs has room for all that is known.
_WIDE = 108


def table(jobs: Iterable[JobRecord], terminal: Terminal) -> Table:
    """Ids in full: they are typed again. A terminal gets what its width has room for."""
    drawn = terminal.out.is_terminal
    narrow = drawn and terminal.out.width < _WIDE
    cells: dict[Column, Callable[[JobRecord], str]] = {
        Column("Job ID"): lambda job: job.id,
        Column("Name", fold=True): lambda job: job.name or job.kind,
    }
    if not narrow:
        cells[Column("VM Path", fold=True)] = subject
    cells |= {
        Column("Status"): lambda job: job.state,
        Column("Progress", right=True): percent,
        Column("Started"): lambda job: when(job.started)[5:-3] if drawn else when(job.started),
    }
    if not narrow:
        cells[Column("Took", right=True)] = took
    return Table(cells, ([cell(job) for cell in cells.values()] for job in jobs))


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
    """``1.2 GiB of 4.0 GiB, 210 MiB/s, 13 s left``"""
    progress = job.progress
    parts = []
    if progress.total:
        parts.append(f"{words.size(progress.done)} of {words.size(progress.total)}")
    if progress.rate and job.state == "running":
        parts.append(f"{words.size(progress.rate)}/s")
    if progress.eta is not None and job.state == "running":
        parts.append(f"{words.duration(progress.eta)} left")
    return ", ".join(parts)


def phase(job: JobRecord) -> str:
    """``copying web/vda``"""
    return " ".join(each for each in (job.progress.phase, job.progress.subject) if each)


def failure(job: JobRecord) -> list[str]:
    """Why it failed, and what to do."""
    if job.error is None:
        return []
    return [f"{job.id}: {job.error.message}", *([f"  {job.error.hint}"] if job.error.hint else [])]
