"""The running part of a container: made by containerd's shim, which outlives containerd."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from hypersdk.drivers.containerd import labels
from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import (
    Container,
    UpdateContainerRequest,
)
from hypersdk.drivers.containerd.api.services.snapshots.v1.snapshots_pb2 import MountsRequest
from hypersdk.drivers.containerd.api.services.tasks.v1.tasks_pb2 import (
    CreateTaskRequest,
    DeleteTaskRequest,
    KillRequest,
    PauseTaskRequest,
    ResumeTaskRequest,
    StartRequest,
    WaitRequest,
)
from hypersdk.drivers.containerd.api.types.task import task_pb2
from hypersdk.drivers.containerd.connection import Connection, undisturbed
from hypersdk.drivers.containerd.errors import Gone, is_missing, status
from hypersdk.drivers.containerd.inventory import process_of
from hypersdk.model.errors import HypervisorError

#: Seconds until a killed process must be gone; one that waits for a broken disk is not.
KILL_SECONDS = 30.0
#: Seconds between two looks whether a first process listens to its stop signal by now.
_LOOK_SECONDS = 1.0
#: Seconds between two attempts to clear away what another client is working on.
_RETRY_SECONDS = 0.05


class Tasks:
    """May be used by any number of threads. Raises grpc.RpcError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, container: Container, *, halted: bool) -> None:
        """Everything but the start of the first process. ``halted``: it stays like that."""
        mounts = self._connection.read(
            "snapshots.Mounts",
            MountsRequest(snapshotter=container.snapshotter, key=container.snapshot_key),
        ).mounts
        if halted != (labels.HALTED in container.labels):
            self.mark(container.id, {labels.HALTED: "yes" if halted else ""})
        log = container.labels.get(labels.LOG, "")
        output = f"file://{quote(prepared_log(log))}" if log else ""
        self._connection.change(
            "tasks.Create",
            CreateTaskRequest(
                container_id=container.id, rootfs=mounts, stdout=output, stderr=output
            ),
        )

    def start(self, name: str) -> None:
        self._connection.change("tasks.Start", StartRequest(container_id=name))

    def pause(self, name: str) -> None:
        self._connection.change("tasks.Pause", PauseTaskRequest(container_id=name), timeout=60)

    def resume(self, name: str) -> None:
        self._connection.change("tasks.Resume", ResumeTaskRequest(container_id=name), timeout=60)

    def mark(self, name: str, marks: Mapping[str, str]) -> None:
        """Set labels of a container; an empty value removes the label."""
        self._connection.change(
            "containers.Update",
            UpdateContainerRequest(
                container=Container(id=name, labels=marks),
                update_mask=FieldMask(paths=[f"labels.{key}" for key in marks]),
            ),
            timeout=30,
        )

    @contextmanager
    def halted(self, name: str, process: task_pb2.Process | None) -> Iterator[None]:
        """Nothing of it runs inside the block; afterwards it is as it was."""
        if process is None or process.status != task_pb2.RUNNING:
            yield
            return
        self.pause(name)
        try:
            yield
        finally:
            with undisturbed(), Gone():
                self.resume(name)

    def ask(self, name: str, number: int, timeout: float) -> bool:
        """Send the first process a signal; whether it has ended after ``timeout`` seconds.

        The kernel drops signals for which the first process of a container has no use yet: one
        that has just begun would never hear of it. So it is told again once it listens.
        """
        deadline = time.monotonic() + timeout
        heard = False
        while True:
            if not heard:
                process = process_of(self._connection, name)
                if process is None or process.status == task_pb2.STOPPED:
                    return True
                heard = listens(process.pid, number)
                self.signal(name, number)
            left = deadline - time.monotonic()
            if self.ended(name, min(left, _LOOK_SECONDS)):
                return True
            if left <= _LOOK_SECONDS:
                return False

    def signal(self, name: str, number: int) -> None:
        """That it has ended already is no error."""
        try:
            self._connection.change(
                "tasks.Kill", KillRequest(container_id=name, signal=number), timeout=30
            )
        except grpc.RpcError as error:
            if not is_missing(error) and status(error) is not _PRECONDITION:
                raise

    def ended(self, name: str, timeout: float) -> bool:
        """Whether the first process has ended, at the latest after ``timeout`` seconds."""
        try:
            self._connection.change(
                "tasks.Wait", WaitRequest(container_id=name), timeout=max(timeout, 0.001)
            )
        except grpc.RpcError as error:
            if status(error) is grpc.StatusCode.DEADLINE_EXCEEDED:
                return False
            if not is_missing(error):
                raise
        return True

    def kill(self, name: str) -> None:
        """End all its processes at once, also frozen ones, and clear the task away.

        Raises HypervisorError when a process does not end.
        """
        process = process_of(self._connection, name)
        if process is None:
            return
        if process.status != task_pb2.STOPPED:
            self._kill(name, frozen=process.status in {task_pb2.PAUSED, task_pb2.PAUSING})
        self.clear(name)

    def clear(self, name: str) -> None:
        """Remove the rest of a task that has ended. That it is gone already is no error."""
        deadline = time.monotonic() + KILL_SECONDS
        while True:
            try:
                with Gone():
                    self._connection.change(
                        "tasks.Delete", DeleteTaskRequest(container_id=name), timeout=60
                    )
            except grpc.RpcError as error:
                # Its exit was not noticed everywhere, or another client clears it away as well.
                if status(error) not in _NOT_YET or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)
            else:
                return

    def _kill(self, name: str, *, frozen: bool) -> None:
        with suppress(grpc.RpcError), undisturbed():
            self._connection.change(
                "tasks.Kill",
                KillRequest(container_id=name, signal=signal.SIGKILL, all=True),
                timeout=30,
            )
        if frozen:
            # Before the second version of cgroups a frozen process dies when it is thawed.
            with suppress(grpc.RpcError):
                self.resume(name)
        if not self.ended(name, KILL_SECONDS):
            raise HypervisorError(
                f"'{name}' was killed and has not ended within {KILL_SECONDS:g} s",
                hint="See what it waits for: ctr tasks ps, /proc/PID/stack",
            )


_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
_NOT_YET = frozenset({_PRECONDITION, grpc.StatusCode.UNKNOWN})


def listens(pid: int, number: int) -> bool:
    """Whether a process catches a signal or waits for it (proc(5), SigCgt and SigBlk).

    True when that cannot be seen: it is not told twice then. What is still runc itself, about to
    become the program, catches everything and hands nothing on.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    if text.startswith("Name:\trunc:["):
        return False
    masks = re.findall(r"^Sig(?:Cgt|Blk):\s*([0-9a-f]+)$", text, re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def prepared_log(path: str) -> str:
    """Make the file that the shim writes to; nobody else may read it."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))
    return path
