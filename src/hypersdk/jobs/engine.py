"""Durable runs: the one place that knows DBOS.

A run is a workflow named ``<job>.<run>``. What a step of it gave is stored, and a run that goes on
after a crash is given it again. *Which* runs go on, and where, is decided by our own table, so
the library's recovery is not used: every process is an executor that was never there before, and
runs that are this worker's are resumed through a queue that it alone listens to. The library's
ownership of a workflow changes hands by that too; a process that was taken for dead can store no
step any more.

On SQLite the library has a file of its own beside the database (``<database>.runs``): in one file
200 jobs of two steps took 5.5 s and held up submitting for up to 1.0 s, in two files 2.3 s and
0.2 s. Losing that file loses no job: its runs begin anew.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID
from dbos import error as dbos_error
from ulid import ULID

from hypersdk.database.engine import Database
from hypersdk.jobs.claims import RunName
from hypersdk.model.errors import Conflict, DatabaseUnavailable, HyperSDKError, Interrupted

T = TypeVar("T")

#: The same for ever, so that an upgraded daemon goes on with the jobs of the one before it.
_VERSION = "1"
#: Connections to PostgreSQL that the library keeps; writes are short.
_POOL = 8
#: Workflows in one statement.
_MANY = 200
_ENDED = ("SUCCESS", "ERROR")


class LeftToOthers(BaseException):
    """A run is not this worker's any more. No `Exception`: neither a kind's own ``except`` nor the
    library may take it for the run's outcome, so the workflow stays as it is, unfinished."""


class StepsChanged(HyperSDKError):
    """The steps stored for a run are not those that its kind takes now: another version of the
    program began it."""


class _StepFailed(BaseException):
    """Carries what a step raised past the library, which would store it: after a crash the step is
    tried again instead."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


#: Runs one run to its end; raises LeftToOthers.
Work = Callable[[RunName], None]
_work: Work | None = None  # the library, too, is one per process


@DBOS.workflow(name="hypersdk.job", max_recovery_attempts=None)
def _workflow(job: str, number: int) -> None:
    if _work is None:
        raise LeftToOthers
    _work(RunName(job, number))


class Engine:
    """At most one is open per process. Methods raise DatabaseUnavailable."""

    def __init__(self, database: Database, worker: str, *, resume_seconds: float) -> None:
        self._database = database
        self._worker = worker
        self._queue = _queue(worker)
        self._seconds = resume_seconds
        self._executor = f"{worker}.{ULID()}"

    def open(self, work: Work) -> None:
        """Begin; nothing runs yet. Raises Conflict when one is open in this process."""
        global _work  # noqa: PLW0603 - see there
        if _work is not None:
            raise Conflict(
                "a worker runs in this process already", hint="Give it more slots instead."
            )
        logger = logging.getLogger("dbos")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())  # else the library would print by itself
        config: DBOSConfig = {
            "name": "hypersdk",
            "system_database_url": self._url(),
            "sys_db_pool_size": _POOL,
            "application_version": _VERSION,
            "executor_id": self._executor,
            "serializer": _Json(),
            "log_level": "ERROR",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 0.2,
        }
        _work = work
        try:
            DBOS(config=config)
            DBOS.listen_queues([self._queue])
            DBOS.launch()
            DBOS.register_queue(self._queue, polling_interval_sec=self._seconds)
        except BaseException as error:
            self.close()
            if isinstance(error, sa.exc.DBAPIError):
                raise _unavailable(self._database, error) from error
            raise

    def close(self) -> None:
        """Runs that still go on cannot store steps after this."""
        global _work  # noqa: PLW0603 - see there
        with contextlib.suppress(DatabaseUnavailable, dbos_error.DBOSException):
            self.forget_worker(self._worker)
        DBOS.destroy()
        _work = None

    def start(self, run: RunName) -> None:
        """Have a run that is new begin in a thread."""
        try:
            with SetWorkflowID(str(run)):
                DBOS.start_workflow(_workflow, run.job, run.number)
        except sa.exc.DBAPIError as error:
            raise _unavailable(self._database, error) from error

    def resume(self, run: RunName) -> bool:
        """Have a run go on after its last finished step, or begin when it never did. False: it is
        finished as far as the library knows."""
        try:
            status = DBOS.get_workflow_status(str(run))
            if status is None:
                self.start(run)
            elif status.status in _ENDED:
                return False
            else:
                DBOS.resume_workflow(str(run), queue_name=self._queue)
        except sa.exc.DBAPIError as error:
            raise _unavailable(self._database, error) from error
        return True

    def step(self, name: str, work: Callable[[], T]) -> T:
        """In a run's own thread: do it once. Gives what JSON makes of the result.

        Raises what ``work`` raises, StepsChanged, DatabaseUnavailable when the result could not be
        stored, and Interrupted when another worker has the run by now.
        """

        def once() -> Any:
            try:
                return json.loads(json.dumps(work()))
            except BaseException as error:
                raise _StepFailed(error) from error

        try:
            return DBOS.run_step({"name": name}, once)  # type: ignore[no-any-return]
        except _StepFailed as failed:
            raise failed.error from None
        except dbos_error.DBOSWorkflowConflictIDError:
            raise Interrupted("another worker goes on with this run") from None
        except dbos_error.DBOSUnexpectedStepError as error:
            raise StepsChanged("its steps changed since it began") from error
        except sa.exc.DBAPIError as error:
            raise _unavailable(self._database, error) from error

    def forget(self, runs: Sequence[RunName]) -> None:
        """Delete what is stored of runs that ended."""
        names = [str(run) for run in runs]
        try:
            for at in range(0, len(names), _MANY):
                DBOS.delete_workflows(names[at : at + _MANY])
        except sa.exc.DBAPIError as error:
            raise _unavailable(self._database, error) from error

    def forget_worker(self, worker: str) -> None:
        """Delete the queue of one that ended; it is made again when the worker is back."""
        try:
            DBOS.delete_queue(_queue(worker))
        except sa.exc.DBAPIError as error:
            raise _unavailable(self._database, error) from error

    def _url(self) -> str:
        url = self._database.engine.url
        if not self._database.sqlite:
            return url.render_as_string(hide_password=False)
        path = Path(f"{url.database}.runs")
        try:
            # Results of steps are in it: nobody else reads it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            with contextlib.closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")  # kept in the file
        except (OSError, sqlite3.Error) as error:
            raise DatabaseUnavailable(
                f"{path}, which keeps steps of jobs, cannot be used: {error}",
                hint="Has its disk room, and may this user write it? When it is damaged, move it"
                " away: running jobs begin anew then.",
            ) from error
        return f"sqlite:///{path}"


def _queue(worker: str) -> str:
    return f"worker.{worker}"


class _Json(Serializer):
    """Instead of the library's pickles, which whoever writes the database could have us execute."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=str)

    def deserialize(self, serialized_data: str) -> Any:
        return json.loads(serialized_data)

    def name(self) -> str:
        return "json"


def _unavailable(database: Database, error: sa.exc.DBAPIError) -> DatabaseUnavailable:
    said = str(error.orig).strip().partition("\n")[0]
    return DatabaseUnavailable(
        f"the database {database.place} does not answer: {said}",
        hint="Is it up, and has its disk room? The daemon goes on by itself when it is back.",
    )
