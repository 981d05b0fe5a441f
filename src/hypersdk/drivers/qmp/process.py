"""Which QEMU processes are alive, and ending them.

Whether one lives is told by a lock: the file ``run/alive`` is locked before QEMU is forked, and
the descriptor is handed down. The lock ends with the last process that has it, whatever becomes of
ours, and cannot be taken for a recycled process id. Who it is says ``run/pid``, which QEMU writes;
before a process is killed its command line must name that very file. A kill goes through a pidfd,
which never hits another process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from hypersdk.drivers.qmp.locks import is_locked
from hypersdk.model.errors import HypervisorError

#: Seconds between two looks at a process that is on its way out.
_LOOK_SECONDS = 0.01
#: Seconds it may take to save what it has (bitmaps, caches), and to die when it is killed.
SAVE_SECONDS = 10.0
_KILL_SECONDS = 20.0


def is_alive(run: Path) -> bool:
    """Whether a process of this run lives, or is just being forked."""
    return is_locked(run / "alive")


def claimed(run: Path) -> int:
    """A descriptor with the lock that says "alive", to be handed down. Nobody else may have it."""
    descriptor = os.open(run / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # at most a look of somebody else is waited for
    return descriptor


def process_of(run: Path) -> int | None:
    """Process id of the run's QEMU; None when there is none, or none yet."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((run / "pid").read_text())
        if pid_file(arguments(pid)) == run / "pid":
            return pid
    return next((pid for pid, found in processes() if found == run / "pid"), None)


def processes(root: Path = Path("/")) -> Iterator[tuple[int, Path]]:
    """All QEMU processes with a pid file below ``root``: process id, pid file."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            found = pid_file(arguments(int(entry)))
            if found is not None and root in found.parents:
                yield int(entry), found


def arguments(pid: int) -> list[bytes]:
    """Its command line; empty when it is gone, or a zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return []


def pid_file(command: list[bytes]) -> Path | None:
    """The pid file that QEMU was told to write; None for other programs."""
    if not command or b"qemu-system" not in os.path.basename(command[0]):
        return None
    with contextlib.suppress(ValueError, IndexError):
        return Path(os.fsdecode(command[command.index(b"-pidfile") + 1]))
    return None


def end(run: Path, *, patience: float = SAVE_SECONDS) -> None:
    """End whatever lives of a run: asked to (SIGTERM, with which QEMU saves bitmaps), and after
    ``patience`` seconds killed. Returns when nothing of it lives.

    Raises HypervisorError for a process that cannot be killed.
    """
    begun = time.monotonic()
    asked: set[int] = set()
    while is_alive(run):
        late = time.monotonic() - begun
        if late > patience + _KILL_SECONDS:
            raise HypervisorError(
                f"QEMU of {run.parent} cannot be ended, not even killed",
                hint="It is stuck in the kernel: look at its storage, and at dmesg.",
            )
        for pid, found in processes(run):
            if found == run / "pid":
                if late >= patience:
                    _signal(pid, found, signal.SIGKILL)
                elif pid not in asked:
                    asked.add(pid)
                    _signal(pid, found, signal.SIGTERM)
        time.sleep(_LOOK_SECONDS)


def end_stray(pid: int, found: Path, *, patience: float = SAVE_SECONDS) -> None:
    """End a process whose folder is gone, and with it the lock that told of it."""
    begun = time.monotonic()
    while pid_file(arguments(pid)) == found:
        late = time.monotonic() - begun
        if late > patience + _KILL_SECONDS:
            raise HypervisorError(
                f"QEMU process {pid} cannot be ended, not even killed",
                hint="It is stuck in the kernel: look at its storage, and at dmesg.",
            )
        _signal(pid, found, signal.SIGTERM if late < patience else signal.SIGKILL)
        time.sleep(_LOOK_SECONDS)


def wait_ended(run: Path, seconds: float) -> bool:
    """Whether the run's process has ended by itself within ``seconds``."""
    deadline = time.monotonic() + seconds
    while is_alive(run):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _signal(pid: int, found: Path, number: signal.Signals) -> None:
    """To the process that has this id *and* this pid file, or to nobody."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            if pid_file(arguments(pid)) == found:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def boot_id() -> str:
    """Which boot of the host this is."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
