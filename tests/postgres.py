"""A PostgreSQL server of our own, in a temporary folder, stopped and started as tests need."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.components import missing

#: Where Debian keeps servers, newest version last.
_PLACES = "/usr/lib/postgresql/*/bin"


class Server:
    """Listens on the loopback, trusts everybody there, and does not sync its files."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._data = folder / "data"
        self._log = folder / "log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._options = (
            f"-p {self.port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
            " -c max_connections=200"
        )
        self._call("initdb", "-D", str(self._data), "-U", "lab", "-A", "trust", "-N", "-E", "UTF8")

    def start(self) -> None:
        self._call(
            "pg_ctl", "-D", str(self._data), "-l", str(self._log), "-o", self._options, "-w",
            "-t", "60", "start",
        )  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """``immediate``: as if its host lost power."""
        self._call("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "-t", "60", "stop")

    def database(self) -> str:
        """The URL of a new database."""
        name = f"lab_{uuid4().hex}"
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "lab", name)
        return f"postgresql://lab@127.0.0.1:{self.port}/{name}"

    def _call(self, program: str, *arguments: str) -> None:
        """As the user ``postgres``, since the server refuses to run as root."""
        command = [str(self._programs / program), *arguments]
        user = "postgres" if os.geteuid() == 0 else None
        done = subprocess.run(
            command, check=False, user=user, group=user, extra_groups=[] if user else None, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=120, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}")


def _memory() -> str | None:
    """A place in memory, where databases are made and deleted many times as fast."""
    place = "/dev/shm"
    if Path(place).is_dir() and shutil.disk_usage(place).free > 4 << 30:
        return place
    return None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One for the whole session."""
    found = sorted(Path("/").glob(_PLACES.removeprefix("/")))
    if not found or not (found[-1] / "initdb").exists():
        missing("needs postgresql: run scripts/setup")
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=_memory()))
    try:
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        server = Server(found[-1], folder)
        server.start()
        yield server
        server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: Server) -> str:
    """An empty database."""
    return postgres_server.database()
