"""Real NBD servers for tests, on unix sockets."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.components import require


@dataclass
class Server:
    """A running server."""

    uri: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def serving(command: Sequence[str], socket: Path) -> Iterator[Server]:
    """Run a server that makes ``socket``, until the block ends."""
    require(command[0])
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 10
        while not _listens(socket):
            assert process.poll() is None, "the server did not start"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        try:
            yield Server(f"nbd+unix:///?socket={socket}", process)
        finally:
            process.kill()


def _listens(socket: Path) -> bool:
    """Between bind(2), which makes the file, and listen(2) connections are refused. Asked of the
    kernel: to connect would take the place of the one client that some servers allow."""
    accepting = 1 << 16  # linux/net.h: __SO_ACCEPTCON
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if fields[-1] == str(socket):
            return bool(int(fields[3], 16) & accepting)
    return False


@contextlib.contextmanager
def nbdkit(folder: Path, *arguments: str) -> Iterator[Server]:
    """nbdkit with a plugin and filters, as on its command line."""
    socket = folder / "nbdkit.sock"
    with serving(["nbdkit", "--foreground", "--unix", str(socket), *arguments], socket) as server:
        yield server


@contextlib.contextmanager
def qemu_nbd(folder: Path, image: Path, *options: str) -> Iterator[Server]:
    """qemu-nbd with any number of clients."""
    socket = folder / "qemu-nbd.sock"
    command = ["qemu-nbd", "--persistent", "--shared=0", f"--socket={socket}", *options, str(image)]
    with serving(command, socket) as server:
        yield server


def run(*command: str | Path) -> str:
    """Run a tool that tests need; its output."""
    require(str(command[0]))
    done = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
    return done.stdout


def qemu_io(image: Path, *commands: str) -> None:
    """Write to an image as a guest would: ``write -P 1 0 1M``, ``write -z …``, ``discard …``."""
    run("qemu-io", *(part for command in commands for part in ("-c", command)), image)
