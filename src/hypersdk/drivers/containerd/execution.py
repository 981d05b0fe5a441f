"""Commands inside of containers. Their output goes to files in a private folder, so that nothing
has to be read while they run and nothing is lost when they end.
"""

from __future__ import annotations

import array
import fcntl
import os
import secrets
import select
import shutil
import signal
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

import grpc

from hypersdk.datapath.cancel import WAIT_SLICE
from hypersdk.drivers.containerd import translate
from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import Container
from hypersdk.drivers.containerd.api.services.tasks.v1.tasks_pb2 import (
    CloseIORequest,
    DeleteProcessRequest,
    ExecProcessRequest,
    KillRequest,
    StartRequest,
    WaitRequest,
)
from hypersdk.drivers.containerd.connection import Connection, undisturbed
from hypersdk.drivers.containerd.errors import complaint, is_missing, native, status
from hypersdk.drivers.containerd.inventory import observed
from hypersdk.drivers.containerd.spec import PROCESS_TYPE, environment, packed, unpacked
from hypersdk.model.containers import Executed
from hypersdk.model.errors import InvalidInput, InvalidState, NotFound, OperationTimeout
from hypersdk.model.instances import InstanceState

#: Seconds until a killed command must be gone.
_KILL_SECONDS = 10.0
#: Seconds between two looks whether all input was read.
_DRAIN_SECONDS = 0.002
_NO_PROGRAM = ("executable file not found", "no such file or directory")


class ContainerdExecution:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> Executed:
        """As the user, and with the variables, of the container's first process."""
        if not command:
            raise InvalidInput(f"nothing is to be run in '{name}'", hint="Give a command.")
        container, process = observed(self._connection, name)
        state = translate.state(process, container)
        if state is not InstanceState.RUNNING:
            raise InvalidState(
                f"'{name}' is {state.value}: nothing can be run in it",
                hint="Resume it." if state is InstanceState.PAUSED else "Start it.",
            )
        with _Streams(stdin) as streams, native(f"run {command[0]} in '{name}'"):
            code = self._run(container, list(command), env or {}, streams, timeout)
            return Executed(code, streams.output(), streams.errors())

    def _run(
        self,
        container: Container,
        command: list[str],
        env: Mapping[str, str],
        streams: _Streams,
        timeout: float,
    ) -> int:
        identity = f"hypersdk-{secrets.token_hex(8)}"
        deadline = time.monotonic() + timeout
        self._connection.change(
            "tasks.Exec",
            ExecProcessRequest(
                container_id=container.id,
                exec_id=identity,
                stdin=streams.stdin_path,
                stdout=streams.stdout_path,
                stderr=streams.stderr_path,
                spec=packed(PROCESS_TYPE, _process(container, command, env)),
            ),
            timeout=60,
        )
        with self._removed(container.id, identity):
            self._start(container.id, identity, command[0])
            with self._fed(container.id, identity, streams):
                return self._ended(container.id, identity, command[0], deadline, timeout)

    def _start(self, name: str, identity: str, program: str) -> None:
        try:
            self._connection.change(
                "tasks.Start", StartRequest(container_id=name, exec_id=identity), timeout=60
            )
        except grpc.RpcError as error:
            if any(saying in complaint(error) for saying in _NO_PROGRAM):
                raise NotFound(
                    f"there is no program '{program}' in '{name}'",
                    hint="See what its image has; a shell's own words need a shell.",
                ) from error
            raise

    def _ended(
        self, name: str, identity: str, program: str, deadline: float, timeout: float
    ) -> int:
        try:
            answer = self._connection.change(
                "tasks.Wait",
                WaitRequest(container_id=name, exec_id=identity),
                timeout=max(0.001, deadline - time.monotonic()),
            )
        except grpc.RpcError as error:
            if status(error) is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise OperationTimeout(
                    f"{program} in '{name}' still ran after {timeout:g} s and was killed",
                    hint="Give it more time.",
                ) from error
            raise
        return int(answer.exit_status)

    @contextmanager
    def _removed(self, name: str, identity: str) -> Iterator[None]:
        """Whatever happens, the command ends, and containerd forgets it. What it wrote is complete
        once containerd has forgotten it."""
        try:
            yield
        except BaseException:
            with undisturbed(), suppress(grpc.RpcError):
                self._kill(name, identity)
            with undisturbed(), suppress(grpc.RpcError):
                self._forget(name, identity)
            raise
        with undisturbed():
            self._forget(name, identity)

    def _kill(self, name: str, identity: str) -> None:
        self._connection.change(
            "tasks.Kill",
            KillRequest(container_id=name, exec_id=identity, signal=signal.SIGKILL),
            timeout=_KILL_SECONDS,
        )
        self._connection.change(
            "tasks.Wait",
            WaitRequest(container_id=name, exec_id=identity),
            timeout=_KILL_SECONDS,
        )

    def _forget(self, name: str, identity: str) -> None:
        try:
            self._connection.change(
                "tasks.DeleteProcess",
                DeleteProcessRequest(container_id=name, exec_id=identity),
                timeout=_KILL_SECONDS,
            )
        except grpc.RpcError as error:
            if not is_missing(error):  # its container ended, and took it along
                raise

    @contextmanager
    def _fed(self, name: str, identity: str, streams: _Streams) -> Iterator[None]:
        """Its standard input is written by another thread; then it is closed."""
        if not streams.stdin_path:
            yield
            return

        def feed() -> None:
            with suppress(grpc.RpcError), undisturbed():
                streams.feed()
                # The shim holds the other end as well, so that our death is not the end of input.
                self._connection.change(
                    "tasks.CloseIO",
                    CloseIORequest(container_id=name, exec_id=identity, stdin=True),
                    timeout=_KILL_SECONDS,
                )

        thread = threading.Thread(target=feed, name=f"stdin-{name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            streams.ended.set()
            thread.join()


class _Streams:
    """Standard input, output and errors of a command, in a folder of its own."""

    def __init__(self, stdin: bytes) -> None:
        self._stdin = stdin
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        self._folder = tempfile.mkdtemp(prefix="hypersdk-exec-")
        self.stdout_path = self._made("stdout")
        self.stderr_path = self._made("stderr")
        self.stdin_path = ""
        self._feeding = -1
        if self._stdin:
            self.stdin_path = f"{self._folder}/stdin"
            os.mkfifo(self.stdin_path, 0o600)
            # Both ends: opened for writing only, it would have to wait for who reads.
            self._feeding = os.open(self.stdin_path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def output(self) -> bytes:
        return _content(self.stdout_path)

    def errors(self) -> bytes:
        return _content(self.stderr_path)

    def feed(self) -> None:
        """Write all of the input, as far as the command lives to read it, and let go."""
        rest = memoryview(self._stdin)
        while rest and not self.ended.is_set():
            if select.select([], [self._feeding], [], WAIT_SLICE)[1]:
                with suppress(BlockingIOError):
                    rest = rest[os.write(self._feeding, rest) :]
        # What is in the pipe would be lost if the other side had not opened it yet.
        while _waiting(self._feeding) and not self.ended.wait(_DRAIN_SECONDS):
            pass
        self._close()

    def _close(self) -> None:
        if self._feeding >= 0:
            os.close(self._feeding)
            self._feeding = -1

    def _made(self, name: str) -> str:
        path = f"{self._folder}/{name}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return path


def _waiting(pipe: int) -> int:
    """Bytes that nobody has read yet."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _process(container: Container, command: list[str], env: Mapping[str, str]) -> dict[str, Any]:
    """Like the first process, but for what it runs."""
    spec: dict[str, Any] = dict(unpacked(container.spec.value).get("process") or {})
    variables = environment(spec.get("env") or (), env)
    return {"cwd": "/", **spec, "args": command, "env": variables, "terminal": False}
