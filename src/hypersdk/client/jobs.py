"""Jobs and schedules, from a client's side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from hypersdk.client.connection import Connection
from hypersdk.client.paging import pages
from hypersdk.model.errors import DaemonRefused, DaemonUnreachable, OperationTimeout

if TYPE_CHECKING:  # slow to import
    from hypersdk.contract.jobs import (
        JobRecord,
        KindRecord,
        LogRecord,
        NewJobRecord,
        NewScheduleRecord,
        OutcomeRecord,
        OutcomesRecord,
        PreviewRecord,
        ScheduleRecord,
        SubmittedRecord,
    )

ENDED = frozenset({"completed", "failed", "cancelled"})
ACTIVE = frozenset({"scheduled", "pending", "running", "paused"})
#: Seconds between two looks at jobs that are waited for.
_EVERY = 0.5
#: Seconds; twice what a daemon needs to be back.
_PATIENCE = 60.0
#: Jobs that are asked for one by one.
_FEW = 8
#: Statuses of a daemon that is busy, or without its database for a while.
_AWAY = frozenset({429, 502, 503, 504})


class Jobs:
    """``client.jobs``. Methods raise DaemonUnreachable, DaemonRefused."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(self, kind: str, request: Mapping[str, Any], **more: Any) -> OutcomeRecord:
        """One job. ``more``: fields of `NewJobRecord` (``name``, ``priority``, ``retry`` …).
        Raises DaemonRefused when it is not taken."""
        new = {"kind": kind, "request": dict(request), **more}
        outcome = cast("OutcomesRecord", self._connection.call("submit_jobs", body=new)).items[0]
        if outcome.error is not None:
            error = outcome.error
            raise DaemonRefused(error.message, hint=error.hint, kind=error.kind)
        return outcome

    def submit_all(self, new: Sequence[NewJobRecord | Mapping[str, Any]]) -> OutcomesRecord:
        """What became of each, in their order; those that are refused do not keep the others."""
        body = {"jobs": list(new)}
        return cast("OutcomesRecord", self._connection.call("submit_jobs", body=body))

    def get(self, id: str) -> JobRecord:
        return cast("JobRecord", self._connection.call("get_job", {"id": id}))

    def list(self, **filters: Any) -> Iterator[JobRecord]:
        """Newest first, page by page. Filters: ``state kind tenant schedule parent text since
        until``, and ``limit``, the size of a page."""
        return pages(self._connection, "list_jobs", filters)

    def cancel(self, id: str) -> JobRecord:
        """Stop it, within two seconds."""
        return cast("JobRecord", self._connection.call("cancel_job", {"id": id}))

    def pause(self, id: str) -> JobRecord:
        return cast("JobRecord", self._connection.call("pause_job", {"id": id}))

    def resume(self, id: str) -> JobRecord:
        return cast("JobRecord", self._connection.call("resume_job", {"id": id}))

    def retry(self, id: str) -> JobRecord:
        """Run a failed or cancelled job again."""
        return cast("JobRecord", self._connection.call("retry_job", {"id": id}))

    def logs(self, id: str, *, after: int = 0) -> Iterator[LogRecord]:
        """Its lines after number ``after``."""
        return pages(self._connection, "job_logs", {"after": after or None}, {"id": id})

    def prioritise(self, id: str, priority: int) -> JobRecord:
        """``priority``: 0 … 100; greater ones first."""
        body = {"priority": priority}
        return cast("JobRecord", self._connection.call("change_job", {"id": id}, body=body))

    def delete(self, id: str) -> None:
        """Forget a job that ended."""
        self._connection.call("delete_job", {"id": id})

    def kinds(self) -> tuple[KindRecord, ...]:
        """What the daemon can do, with the schemas of requests and results."""
        return tuple(self._connection.call("list_job_kinds").items)

    def watch(
        self,
        ids: Iterable[str],
        *,
        every: float = _EVERY,
        patience: float = _PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[tuple[JobRecord, ...]]:
        """All of them, again and again; ends when all have ended. ``every``: seconds between two
        looks. ``patience``: seconds for which a daemon that answered once may be away, as while
        it is begun again: jobs go on."""
        known: dict[str, JobRecord] = {}
        wanted = tuple(ids)
        answered = 0.0
        while True:
            try:
                known |= self._look(id for id in wanted if not _has_ended(known.get(id)))
                answered = time.monotonic()
            except (DaemonUnreachable, DaemonRefused) as error:
                away = isinstance(error, DaemonUnreachable) or error.status in _AWAY
                if not away or not known or time.monotonic() - answered > patience:
                    raise
            yield tuple(known[id] for id in wanted)
            if all(map(_has_ended, known.values())):
                return
            sleep(every)

    def _look(self, ids: Iterable[str]) -> dict[str, JobRecord]:
        """Many are asked for by their states: one request instead of one for each."""
        wanted = set(ids)
        found: dict[str, JobRecord] = {}
        if len(wanted) > _FEW:
            listed = self.list(state=sorted(ACTIVE), limit=1000)
            found = {job.id: job for job in listed if job.id in wanted}
        return found | {id: self.get(id) for id in wanted - found.keys()}

    def wait(self, id: str, *, timeout: float | None = None) -> JobRecord:
        """Until it ended. ``timeout``: seconds. Raises OperationTimeout."""
        begun = time.monotonic()
        for (job,) in self.watch([id]):
            if job.state in ENDED:
                return job
            if timeout is not None and time.monotonic() - begun > timeout:
                raise OperationTimeout(
                    f"job {id} is {job.state} after {timeout:g} s",
                    hint=f"It goes on. See: hyperctl watch {id}",
                )
        raise AssertionError("watching ends with the last job")


class Schedules:
    """``client.schedules``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, new: NewScheduleRecord | Mapping[str, Any]) -> ScheduleRecord:
        return cast("ScheduleRecord", self._connection.call("create_schedule", body=new))

    def get(self, id: str) -> ScheduleRecord:
        """By id or name."""
        return cast("ScheduleRecord", self._connection.call("get_schedule", {"id": id}))

    def list(self, **filters: Any) -> Iterator[ScheduleRecord]:
        return pages(self._connection, "list_schedules", filters)

    def replace(self, id: str, new: NewScheduleRecord, *, revision: int) -> ScheduleRecord:
        """Raises DaemonRefused (412) when it was changed since ``revision``."""
        headers = {"If-Match": f'"{revision}"'}
        return cast(
            "ScheduleRecord",
            self._connection.call("replace_schedule", {"id": id}, body=new, headers=headers),
        )

    def delete(self, id: str) -> None:
        self._connection.call("delete_schedule", {"id": id})

    def enable(self, id: str) -> ScheduleRecord:
        return cast("ScheduleRecord", self._connection.call("enable_schedule", {"id": id}))

    def disable(self, id: str) -> ScheduleRecord:
        return cast("ScheduleRecord", self._connection.call("disable_schedule", {"id": id}))

    def trigger(self, id: str) -> SubmittedRecord:
        """Begin its job now, whatever its windows say."""
        return cast("SubmittedRecord", self._connection.call("trigger_schedule", {"id": id}))

    def preview(self, id: str, *, count: int = 5) -> PreviewRecord:
        """Its next moments."""
        return cast(
            "PreviewRecord",
            self._connection.call("preview_schedule", {"id": id}, query={"count": count}),
        )

    def preview_new(self, new: NewScheduleRecord, *, count: int = 5) -> PreviewRecord:
        """Next moments of one that is not stored."""
        return cast(
            "PreviewRecord",
            self._connection.call("preview_new_schedule", body=new, query={"count": count}),
        )


def _has_ended(job: JobRecord | None) -> bool:
    return job is not None and job.state in ENDED
