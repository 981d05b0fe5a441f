"""Run commands inside containers."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hypersdk.drivers.docker.connection import Connection
from hypersdk.drivers.docker.errors import native
from hypersdk.drivers.docker.hijack import Hijacked, Late
from hypersdk.drivers.docker.translate import observed_state
from hypersdk.model.capabilities import Limit
from hypersdk.model.containers import Executed
from hypersdk.model.errors import (
    HypervisorError,
    InvalidInput,
    InvalidState,
    NotFound,
    OperationTimeout,
)
from hypersdk.model.instances import InstanceState

#: Exit codes of runc for a command that it could not start, and what it writes in its place.
_NOT_STARTED = (126, 127)
_RUNC_SAYS = b"OCI runtime exec failed"
_NO_PROGRAM = ("executable file not found", "no such file or directory")
#: Seconds until the engine has noted how a command ended whose streams are closed.
_NOTED_SECONDS = 10.0

LIMITS = (
    Limit(
        "execution.timeout",
        "the engine is on another host and cannot be told to end a command: it runs on there",
    ),
)


class DockerExecution:
    """The ``execution`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        #: The engine ends no command; its processes can be killed where they are ours to see.
        self.limits = () if connection.local else LIMITS

    def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Executed:
        """Raises Interrupted as well; the command is then killed as after ``timeout``."""
        if not command:
            raise InvalidInput(f"there is no command to run in '{name}'", hint="Name one.")
        found = self._connection.find(name)
        state = observed_state(found)
        if state is not InstanceState.RUNNING:
            raise InvalidState(f"'{name}' is {state.value}", hint="Commands need it running.")
        doing = f"run {command[0]!r} in '{name}'"
        until = time.monotonic() + timeout
        client = self._connection.client
        with native(doing):
            made = client.exec_create(
                found["Id"], list(command), stdin=bool(stdin), environment=dict(env or {})
            )["Id"]
            body = {"Detach": False, "Tty": False}
            with Hijacked(self._connection, f"/exec/{made}/start", body, doing) as stream:
                try:
                    output, errors = stream.exchange(stdin, until)
                except Late:
                    self._end(made, found["Id"])
                    raise OperationTimeout(
                        f"cannot {doing}: it took longer than {timeout:g} s",
                        hint="Give it more time.",
                    ) from None
                except BaseException:
                    self._end(made, found["Id"])
                    raise
            code = self._exit_code(made, doing)
        if code in _NOT_STARTED and output.startswith(_RUNC_SAYS):
            raise _not_started(doing, output.decode(errors="replace"))
        return Executed(code, output, errors)

    def _exit_code(self, made: str, doing: str) -> int:
        until = time.monotonic() + _NOTED_SECONDS
        while True:
            noted = self._connection.client.exec_inspect(made)
            if not noted["Running"] and noted["ExitCode"] is not None:
                return int(noted["ExitCode"])
            if time.monotonic() > until:
                raise HypervisorError(f"cannot {doing}: it closed its output and runs on")
            time.sleep(0.01)

    def _end(self, made: str, container: str) -> None:
        """Kill a command and what it has started, where its processes are ours to see."""
        if not self._connection.local:
            return
        with contextlib.suppress(OSError, HypervisorError):
            pid = self._connection.client.exec_inspect(made)["Pid"]
            if pid and container in Path(f"/proc/{pid}/cgroup").read_text():
                for each in (pid, *_descendants(pid)):
                    self._kill(each, container)

    def _kill(self, pid: int, container: str) -> None:
        """By the kernel, or where that is not ours to do, by a ``kill`` inside the container."""
        with contextlib.suppress(ProcessLookupError):
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                inside = re.search(
                    r"^NSpid:.*\s(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
                )
                if inside:
                    command = ["kill", "-KILL", inside[1]]
                    client = self._connection.client
                    killer = client.exec_create(container, command, user="0")["Id"]
                    client.exec_start(killer, detach=True)


def _descendants(pid: int) -> Iterator[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name in brackets may hold anything; the parent is the second field behind it.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    waiting = [pid]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            yield child
            waiting.append(child)


def _not_started(doing: str, words: str) -> NotFound | InvalidInput:
    said = " ".join(words.split())
    if any(part in said for part in _NO_PROGRAM):
        return NotFound(f"cannot {doing}: there is no such program inside", hint=said)
    return InvalidInput(f"cannot {doing}: {said}", hint="Check the program inside.")
