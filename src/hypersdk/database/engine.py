"""One way to a database, SQLite or PostgreSQL: reading, writing, locks that a dead process frees.

A *write* is one transaction; two writes never overlap on SQLite (``BEGIN IMMEDIATE``), and on
PostgreSQL those that take the same counter follow each other, so that whoever follows changes by
revision sees them in the order in which they were committed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from hypersdk.database import migrations
from hypersdk.database.tables import counters
from hypersdk.model.errors import Conflict, DatabaseError, DatabaseUnavailable, InvalidInput

#: Milliseconds that a writer waits for another one on SQLite.
_BUSY_MS = 15_000
#: Connections kept open to PostgreSQL by one process.
_POOL = 10
#: Both ends notice within half a minute that the other one's host is gone: the server then frees
#: the locks of its sessions, and we stop waiting for an answer.
_ALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5"
    " -c tcp_keepalives_count=3 -c tcp_user_timeout=25000",
}
_DIALECTS = ("sqlite", "postgresql")


class SessionLock(Protocol):
    """Held by one process at a time, and by none once its holder died."""

    def held(self) -> bool:
        """Ask the database whether we still hold it. False: somebody else may."""
        ...

    def release(self) -> None:
        """Give it back. May be called several times."""
        ...


class Database:
    """Safe in threads. Errors of the database become ours: DatabaseUnavailable, DatabaseError, and
    InvalidInput for values that it cannot hold."""

    def __init__(self, engine: sa.Engine, clock: Callable[[], datetime]) -> None:
        self.engine = engine
        self._clock = clock

    @classmethod
    def open(
        cls, url: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> Database:
        """Open it, and bring its tables up to date.

        ``url``: ``sqlite:///PATH`` or ``postgresql://USER@HOST/NAME``; a password in it comes
        from a reference that was resolved already. Raises InvalidInput for other databases,
        DatabaseUnavailable, and DatabaseError when a later version wrote it.
        """
        database = cls(_engine(_parsed(url)), clock)
        try:
            with database.write() as connection:
                database.lock_for_now(connection, "migrations")
                migrations.apply(connection)
        except BaseException:
            database.close()
            raise
        return database

    @property
    def sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def place(self) -> str:
        """For people, without a password."""
        return self.engine.url.render_as_string(hide_password=True)

    def now(self) -> datetime:
        """UTC, of this process' clock, or what a test put in its place."""
        return self._clock()

    def skew(self) -> float:
        """Seconds by which the server's clock is ahead of ours; 0 on SQLite, which has none."""
        if self.sqlite:
            return 0.0
        with self.read() as connection:
            theirs = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
        return float((theirs - self.now()).total_seconds())

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to look with; each statement sees what was committed before it."""
        with _ours(self), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed at the end, undone by an exception."""
        with _ours(self), self.engine.connect() as connection:
            if self.sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def next_numbers(self, connection: Connection, counter: str, count: int = 1) -> int:
        """The first of ``count`` numbers, in a write. Its other users wait until that ends, so
        numbers become visible in their order."""
        add = (
            sa.update(counters)
            .where(counters.c.name == counter)
            .values(value=counters.c.value + count)
            .returning(counters.c.value)
        )
        changed = connection.execute(add).scalar_one_or_none()
        if changed is None:
            # Two that are the first ones on PostgreSQL see neither the other's row.
            self.lock_for_now(connection, f"counters.{counter}")
            changed = connection.execute(add).scalar_one_or_none()
        if changed is None:
            connection.execute(sa.insert(counters).values(name=counter, value=count))
            changed = count
        return int(changed) - count + 1

    def lock_for_now(self, connection: Connection, name: str) -> None:
        """In a write: nobody else is between this line and its end at the same time."""
        if not self.sqlite:  # there, writes never overlap
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _key(name)})

    def lock(self, name: str) -> SessionLock | None:
        """Take a lock for as long as this process lives; None while another one holds it."""
        if self.sqlite:
            return _FileLock.take(Path(f"{self.engine.url.database}.{name}.lock"))
        return _ServerLock.take(self, name)

    def close(self) -> None:
        self.engine.dispose()


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in _DIALECTS:
        raise InvalidInput(
            "the database is neither SQLite nor PostgreSQL",
            hint="Write sqlite:///PATH or postgresql://USER@HOST/NAME.",
        )
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if not parsed.database or parsed.database == ":memory:":
        raise InvalidInput("the database needs a file", hint="Write sqlite:////absolute/path.db.")
    return parsed.set(drivername="sqlite")


def _engine(url: URL) -> sa.Engine:
    if url.get_backend_name() == "postgresql":
        return sa.create_engine(
            url,
            pool_size=_POOL,
            max_overflow=_POOL,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, **_ALIVE},
        )
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # It has hashes of tokens and names of everything: nobody else reads it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise DatabaseUnavailable(
            f"the database {path} cannot be opened: {error.strerror}",
            hint="Name a file that this user may write, with --database sqlite:////PATH.",
        ) from error
    engine = sa.create_engine(url, connect_args={"check_same_thread": False})
    sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, record: object) -> None:  # noqa: ARG001 - of the event
    # Transactions are begun by us; the module would begin one only at the first change.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",  # what was answered as stored survives a power cut
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextlib.contextmanager
def _ours(database: Database) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise DatabaseUnavailable(
            f"the database {database.place} does not answer: {_first_line(error)}",
            hint="Is it up, and has its disk room? The daemon goes on by itself when it is back.",
        ) from error
    except (DataError, UnicodeEncodeError) as error:
        # A zero in a text, half of a pair of surrogates, a number without end.
        raise InvalidInput(
            "the database cannot hold one of the values",
            hint="Texts are UTF-8 without zeros, and numbers have 64 bits.",
        ) from error
    except OverflowError as error:
        if "SQLite" not in str(error):
            raise
        raise InvalidInput(
            "a number is too large", hint="Whole numbers have 64 bits at most."
        ) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable(
                f"the connection to {database.place} was lost", hint="Try again."
            ) from error
        raise DatabaseError(
            f"the database {database.place} refused a statement: {_first_line(error)}",
            hint="This is a fault of the daemon, or somebody changed its tables.",
        ) from error


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]


def _key(name: str) -> int:
    """64 bits with a sign, as PostgreSQL numbers its advisory locks."""
    digest = hashlib.sha256(f"hypersdk:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class _FileLock:
    """flock on a file beside the database; the kernel frees it when the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> _FileLock | None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def held(self) -> bool:
        return self._descriptor >= 0

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _ServerLock:
    """An advisory lock of a session of its own; PostgreSQL frees it when the session ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection
        self._one = threading.Lock()

    @classmethod
    def take(cls, database: Database, name: str) -> _ServerLock | None:
        with _ours(database):
            connection = database.engine.connect()
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            # Out of the pool for good: its session is the lock.
            connection.detach()
            taken = False
            try:
                taken = connection.execute(
                    sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": _key(name)}
                ).scalar_one()
            finally:
                if not taken:
                    connection.close()
            return cls(connection) if taken else None

    def held(self) -> bool:
        with self._one:
            if self._connection is None:
                return False
            try:
                self._connection.execute(sa.text("SELECT 1")).scalar_one()
            except (DBAPIError, sa.exc.InvalidRequestError):
                self._close()  # with its session, the lock is gone
                return False
            return True

    def release(self) -> None:
        with self._one:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        with contextlib.suppress(DBAPIError, sa.exc.InvalidRequestError):
            if connection is not None:
                connection.close()


def unique(error: DatabaseError | Conflict) -> bool:
    """Whether a write failed because a row of this name exists already."""
    cause = error.__cause__
    return isinstance(cause, sa.exc.IntegrityError)
