"""A daemon of its own for a measure, on SQLite and a free port."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.daemon.load import Target, as_fast_as_possible
from bench.measure import BenchError

#: Seconds that the daemon may take to begin.
_BEGIN = 60.0


@contextlib.contextmanager
def daemon(folder: Path, *options: str) -> Iterator[tuple[Target, subprocess.Popen[bytes], float]]:
    """Where it is, its process, and the seconds until it answered. Raises BenchError."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "hypersdk.cli.hypervisord", "--listen", f"127.0.0.1:{port}",
        "--state-dir", str(folder), *options, "--log-level", "warning",
    ]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() - began > _BEGIN:
                raise BenchError("the daemon did not begin")
            time.sleep(0.01)
        target = Target("127.0.0.1", port)
        asyncio.run(as_fast_as_possible(target, ["/v1/status"], connections=1, seconds=0.01))
        yield target, process, time.monotonic() - began
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
