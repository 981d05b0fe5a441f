"""Removes all there is of a private containerd once its owner lets go, however suddenly.

A program of its own: ``python reaper.py FOLDER``, with a pipe that only the owner holds as its
standard input.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

#: Seconds until killed processes must be gone.
_END_SECONDS = 20


def _watch(folder: Path) -> None:
    """Wait until our parent lets go of the pipe, then remove all there is of a daemon."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    deadline = time.monotonic() + _END_SECONDS
    while (left := _processes(folder)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for point in reversed(_mounts(folder)):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
    for cgroup in _cgroups(folder.name):
        with contextlib.suppress(OSError):
            cgroup.rmdir()
    shutil.rmtree(folder, ignore_errors=True)


def _processes(folder: Path) -> set[int]:
    """The daemon, its shims, and what runs below them."""
    found = set(shims(folder)) | {
        pid
        for pid, words in _commands()
        if "--config" in words and f"{folder}/config.toml" in words
    }
    parents = {pid: _parent(pid) for pid, _ in _commands()}
    while True:
        below = {pid for pid, parent in parents.items() if parent in found} - found
        if not below:
            return found
        found |= below


def shims(folder: Path) -> dict[int, str]:
    return {
        pid: words[words.index("-id") + 1]
        for pid, words in _commands()
        if f"{folder}/c.sock" in words and "-id" in words
    }


def _commands() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_text().split("\0")


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _mounts(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [point for line in lines if (point := line.split()[1]).startswith(f"{folder}/")]


def _cgroups(name: str) -> list[Path]:
    """Of a namespace that is called like its daemon's folder; the inner ones first."""
    # os.walk, unlike Path.glob, does not stop at what goes while it looks.
    inner = [
        Path(parent)
        for parent, _, _ in os.walk("/sys/fs/cgroup")
        if any(part.startswith(name) for part in Path(parent).parts)
    ]
    return sorted(inner, key=lambda path: -len(path.parts))


if __name__ == "__main__":
    _watch(Path(sys.argv[1]))
