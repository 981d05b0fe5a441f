"""A container that stands still while it is read, also when we are killed meanwhile.

Before it is paused a record is written into the setting ``scratch_dir``, and locked (flock) as long
as we live. A small shell waits on a pipe that only we hold: when we die, however suddenly, it
starts `hypersdk.drivers.docker.reap`, which resumes the container. What that could not do is done
by the next backup on this host and by ``hypersdk doctor --reap``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from docker.errors import APIError, NotFound

from hypersdk.config.settings import load_settings
from hypersdk.datapath.failures import from_os
from hypersdk.drivers.docker.connection import Connection, Json
from hypersdk.drivers.docker.errors import native
from hypersdk.model.errors import HyperSDKError, InstanceNotFound, InvalidState

_PREFIX, _SUFFIX = "hypersdk-docker-", ".paused"
# Standard input is the pipe: a line says that all is well, its end that we died.
_WATCH = 'read -r _ || exec "$@"'
_CLEANER = "hypersdk.drivers.docker.reap"
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Record:
    """A container that we have paused, or are about to."""

    url: str
    #: Docker's id of it, and its name then.
    container: str
    name: str


@contextlib.contextmanager
def paused(connection: Connection, found: Json) -> Iterator[None]:
    """Hold a running container. One that cannot be resumed at the end is noted for later."""
    record = Record(connection.url, found["Id"], found["Name"].removeprefix("/"))
    path, lock = _written(record)
    watch = subprocess.Popen(
        ["/bin/sh", "-c", _WATCH, "sh", sys.executable, "-Pm", _CLEANER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with native(f"pause '{record.name}'"):
            connection.client.pause(record.container)
        try:
            yield
        finally:
            resume(connection, record)
        path.unlink(missing_ok=True)
    except BaseException:
        if not _is_paused(connection, record):
            path.unlink(missing_ok=True)
        raise
    finally:
        watch.communicate(b"well\n")
        os.close(lock)


def refuse_held(found: Json) -> None:
    """Raise InvalidState while another backup holds the container."""
    for _, other, _ in _records(alive=True):
        if other.container == found["Id"]:
            raise InvalidState(
                f"another backup is reading '{other.name}'", hint="Wait until it ends."
            )


def resume(connection: Connection, record: Record) -> None:
    """One that runs already, or is gone, is no error."""
    with native(f"resume '{record.name}'"):
        try:
            connection.client.unpause(record.container)
        except NotFound:
            return
        except APIError as error:
            if error.status_code not in (_CONFLICT, 500) or _is_paused(connection, record):
                raise


def dead_records() -> Iterator[tuple[Path, Record]]:
    """Of runs that are not alive any more. Each is locked until the next one is asked for."""
    for path, record, lock in _records(alive=False):
        try:
            yield path, record
        finally:
            os.close(lock)


def dead_record(path: Path) -> Iterator[tuple[Path, Record]]:
    """The one at ``path``, when its run is dead."""
    return (each for each in dead_records() if each[0] == path)


def _is_paused(connection: Connection, record: Record) -> bool:
    try:
        with native(f"look at '{record.name}'"):
            return bool(connection.client.inspect_container(record.container)["State"]["Paused"])
    except InstanceNotFound:
        return False
    except HyperSDKError:
        return True  # nobody knows: the record must stay


def _written(record: Record) -> tuple[Path, int]:
    folder = load_settings().scratch_dir
    path = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
    draft = path.with_suffix(".new")
    try:
        lock = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, json.dumps(asdict(record)).encode())
        # A cleaner that found it unlocked would lock it, and take us for dead.
        draft.rename(path)
    except OSError as error:
        raise from_os(error, path, "write") from error
    return path, lock


def _records(*, alive: bool) -> Iterator[tuple[Path, Record, int]]:
    """Ours alone: the scratch folder is everybody's. Those of dead runs come locked."""
    for path in sorted(load_settings().scratch_dir.glob(f"{_PREFIX}*{_SUFFIX}")):
        try:
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        found = None
        try:
            if os.fstat(lock).st_uid == os.geteuid() and _locked_by_others(lock) is alive:
                found = Record(**json.loads(os.pread(lock, 1 << 16, 0)))
                if os.fstat(lock).st_nlink == 0:  # removed by a cleaner that held it until now
                    found = None
        except (OSError, ValueError, TypeError):
            found = None
        if found is None or alive:
            os.close(lock)
        if found is not None:
            yield path, found, lock


def _locked_by_others(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
