"""Waiting for jobs, with their progress on stderr."""

from __future__ import annotations

from collections.abc import Sequence

from hypersdk.cli.hyperctl.session import Session
from hypersdk.cli.hyperctl.showing import STATUSES, failure
from hypersdk.contract.jobs import JobRecord


def follow(session: Session, ids: Sequence[str]) -> tuple[JobRecord, ...]:
    """Until all have ended; as they ended."""
    from hypersdk.cli.hyperctl.bars import Bars  # noqa: PLC0415 - slow to import

    ended: tuple[JobRecord, ...] = ()
    try:
        with Bars(session.terminal) as bars:
            for now in session.client.jobs.watch(ids):
                bars.show(now)
                ended = now
    except KeyboardInterrupt:
        session.terminal.note(
            f"The jobs go on. Follow them again with: hyperctl watch {' '.join(ids)}"
        )
        raise
    return ended


def concluded(session: Session, jobs: Sequence[JobRecord]) -> int:
    """Say how they ended; the exit status of the worst."""
    terminal = session.terminal
    for job in jobs:
        terminal.line(f"{job.id} {job.state}")
        for line in failure(job):
            terminal.complain(line)
    terminal.result({"jobs": [job.model_dump(mode="json") for job in jobs]})
    return max((STATUSES[job.state] for job in jobs), default=0)
