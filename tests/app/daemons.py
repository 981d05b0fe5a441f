"""Real daemons: processes of their own, on free ports, with databases in temporary folders."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Seconds; machines may be slow.
PATIENCE = 90.0
COMMAND = (sys.executable, "-m", "hypersdk.cli.hypervisord")


def until(true: Callable[[], Any], what: str = "it", seconds: float = PATIENCE) -> Any:
    """What ``true`` gives as soon as that is something."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds} seconds"
        time.sleep(0.02)
    return found


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self._path)


@dataclass
class Process:
    """A program of ours whose log is JSON lines."""

    process: subprocess.Popen[str]
    lines: list[dict[str, Any]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.raw.append(line)
            with contextlib.suppress(ValueError):
                self.lines.append(json.loads(line))

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in list(self.lines) if line.get("event") == event]

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """The log line of the ``count``-th time."""

        def there() -> bool:
            if len(self.said(event)) >= count:
                return True
            assert self.process.poll() is None, "".join(self.raw)
            return False

        until(there, event)
        return self.said(event)[count - 1]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit status, when it ended by itself."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    @property
    def err(self) -> str:
        return "".join(self.raw)


@dataclass
class Daemon(Process):
    """A daemon that serves."""

    folder: Path = Path()

    def place(self, scheme: str = "http") -> str:
        """``http://127.0.0.1:PORT`` or ``unix:PATH``."""
        places: list[str] = self.wait_for("hypervisord serves")["at"]
        return next(each for each in places if each.startswith(scheme))

    def worker(self, count: int = 1) -> int:
        """Process id of its worker, the ``count``-th one, once that works."""
        pid = int(self.wait_for("the worker was begun", count)["pid"])
        self.wait_for("worker runs", count)
        return pid

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str = "",
        scheme: str = "http:",
        trust: Path | None = None,
    ) -> Answer:
        connection = self._connection(self.place(scheme), trust)
        headers = {"content-type": "application/json"} if body is not None else {}
        if token:
            headers["authorization"] = f"Bearer {token}"
        data = json.dumps(body) if body is not None else None
        with contextlib.closing(connection):
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())

    def get(self, path: str, **more: Any) -> Any:
        """JSON of a 200."""
        answer = self.request("GET", path, **more)
        assert answer.status == 200, answer
        return answer.json

    def _connection(self, place: str, trust: Path | None) -> http.client.HTTPConnection:
        if place.startswith("unix:"):
            return _UnixConnection(place.removeprefix("unix:"))
        host = place.partition("://")[2]
        if trust is None:
            return http.client.HTTPConnection(host, timeout=PATIENCE)
        context = ssl.create_default_context(cafile=str(trust))
        return http.client.HTTPSConnection(host, timeout=PATIENCE, context=context)


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Nothing of the machine's own settings."""
    strange = ("HYPERVISORD_", "HYPERSDK_", "GOVC_", "NOTIFY_", "WATCHDOG_", "STATE_DIRECTORY")
    kept = {name: each for name, each in os.environ.items() if not name.startswith(strange)}
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
    return {**kept, **home, "HYPERSDK_CACHE_DIR": str(folder / "cache"), **more}


@contextlib.contextmanager
def program(
    folder: Path, *arguments: str, kind: type[Process] = Process, **variables: str
) -> Iterator[Any]:
    """``hypervisord ARGUMENTS`` while the block runs; killed at its end, with its children."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(folder, **variables),
    )
    running = kind(process)
    try:
        yield running
    finally:
        # Its worker sees the end of its standard input, and ends too.
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        running._reader.join(PATIENCE)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stderr.close()


@contextlib.contextmanager
def daemon(folder: Path, *arguments: str, settings: str = "", **variables: str) -> Iterator[Daemon]:
    """A daemon that serves, on a free port unless told otherwise."""
    file = folder / "hypervisord.yaml"
    if settings or not file.exists():
        file.write_text(settings)
    words = ["--config", str(file), "--state-dir", str(folder / "state")]
    if "--listen" not in arguments:
        words += ["--listen", "127.0.0.1:0"]
    with program(folder, *words, *arguments, kind=Daemon, **variables) as running:
        running.folder = folder
        running.wait_for("hypervisord serves")
        yield running
