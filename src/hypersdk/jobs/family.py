"""Jobs that a job submits and waits for."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import sqlalchemy as sa
from ulid import ULID

from hypersdk.database.engine import Database
from hypersdk.database.tables import jobs
from hypersdk.datapath.cancel import CancelToken
from hypersdk.jobs import rows
from hypersdk.jobs.pace import Pace
from hypersdk.jobs.store import SUBMIT_MOST, JobStore
from hypersdk.model.errors import DatabaseUnavailable, InvalidState, NotFound
from hypersdk.model.jobs import Job, JobState, NewJob

_MANY = 500


class Family:
    """Of one run of one job."""

    def __init__(self, database: Database, job: Job, pace: Pace) -> None:
        self._database = database
        self._job = job
        self._pace = pace
        self._store = JobStore(database)

    def submit(self, call: int, new: Sequence[NewJob]) -> list[str]:
        """Submit them, and give their ids. What an earlier run of the job submitted is found again:
        it goes on when it was paused, and is tried again when it failed or was cancelled."""
        asked = [self._child(each, f"{call}.{place}") for place, each in enumerate(new)]
        before = {job.id: job for job in self._look([each.id for each in asked])}
        ids: list[str] = []
        for at in range(0, len(asked), SUBMIT_MOST):
            ids += [each.id for each in self._store.submit(asked[at : at + SUBMIT_MOST])]
        for job in before.values():
            if job.state is JobState.PAUSED:
                self._each(self._store.resume, job.id)
            elif job.state in (JobState.FAILED, JobState.CANCELLED):
                self._each(self._store.retry, job.id)
        return ids

    def wait(
        self,
        ids: Sequence[str],
        cancel: CancelToken,
        count: Callable[[int, int], None],
        *,
        stop_on_error: bool = False,
    ) -> tuple[Job, ...]:
        """All of them once they ended, in the order of ``ids``; those that were deleted meanwhile
        are not there. ``count`` is told how many ended, of how many. Raises Interrupted."""
        stopped = False
        while True:
            try:
                found = self._look(ids)
                if stop_on_error and not stopped:
                    stopped = any(job.state is JobState.FAILED for job in found)
                    if stopped:
                        self.cancel(ids)
            except DatabaseUnavailable:  # it comes back, and so do the children
                cancel.wait(self._pace.persist)
                continue
            going = [job for job in found if not job.state.ended]
            count(len(ids) - len(going), len(ids))
            if not going:
                return tuple(found)
            cancel.wait(self._pace.children)

    def cancel(self, ids: Sequence[str]) -> None:
        """Those of its own that have not ended."""
        for id in self._own(ids):
            self._each(self._store.cancel, id)

    def pause(self, ids: Sequence[str]) -> None:
        for id in self._own(ids):
            self._each(self._store.pause, id)

    def _child(self, new: NewJob, place: str) -> NewJob:
        return replace(
            new,
            id=new.id or self._id(new, place),
            parent=self._job.id,
            tenant=new.tenant or self._job.tenant,
            owner=new.owner or self._job.owner,
        )

    def _id(self, new: NewJob, place: str) -> str:
        """The same for the same child at the same place of the same parent, so that it is
        submitted once; sorted by time like any other."""
        what = json.dumps([self._job.id, place, new.kind, dict(new.request)], sort_keys=True)
        moment = int(self._job.created.timestamp() * 1000).to_bytes(6, "big")
        return str(ULID.from_bytes(moment + hashlib.sha256(what.encode()).digest()[:10]))

    def _look(self, ids: Sequence[str]) -> list[Job]:
        found: dict[str, Job] = {}
        with self._database.read() as connection:
            for at in range(0, len(ids), _MANY):
                query = sa.select(jobs).where(jobs.c.id.in_(ids[at : at + _MANY]))
                found |= {row.id: rows.from_row(row) for row in connection.execute(query)}
        return [found[id] for id in ids if id in found]

    def _own(self, ids: Sequence[str]) -> list[str]:
        """One that somebody else submitted, and that was the same job, is left alone."""
        return [
            job.id for job in self._look(ids) if job.parent == self._job.id and not job.state.ended
        ]

    def _each(self, wish: Callable[[str], Job], id: str) -> None:
        try:
            wish(id)
        except (InvalidState, NotFound):
            return  # it ended meanwhile
        except DatabaseUnavailable:
            time.sleep(self._pace.persist)
            wish(id)
