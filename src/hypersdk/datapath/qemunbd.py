"""One qemu-nbd process of our own, on a private unix socket, that cannot outlive us.

A small shell stands between us and qemu-nbd and reads from a pipe that only we hold. When we
die, however suddenly, the pipe closes and the shell kills qemu-nbd. PR_SET_PDEATHSIG would do it
without the shell, but follows the thread that forked rather than the process; and that qemu-nbd
exits with its last client does not help before the first one is there. Both have their own
session, so that Ctrl-C reaches us alone.

The listening socket is made by us and handed over (systemd's socket activation protocol), so a
client can connect at once and nothing has to be waited for.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypersdk.datapath import qemutools
from hypersdk.datapath.direct import possible
from hypersdk.model.errors import DataPathError, EndpointTimeout, ImageRefused

T = TypeVar("T")

#: A bound for a hostile image: buffers of all clients and caches of all layers stay far below.
MEMORY_MAX = 8 << 30
#: For glibc in qemu-nbd: keep what was freed, up to so many bytes. By default it gives the buffer
#: of each request back to the system and pays for fresh pages with the next: a restore to qcow2
#: took 4.6 s where it takes 3.4 s so.
_MEMORY_KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}
#: Longest path in bytes that fits into a unix socket address (unix(7): 108 with the final zero).
_SOCKET_PATH_MAX = 107
#: Seconds that a writing process may take for its last tables, and that a killed one may take.
_END_SECONDS = 300
_KILL_SECONDS = 10
# The socket arrives as standard output, one of the descriptors whose number Popen can choose; the
# protocol wants it as 3, and the process id in the environment (sd_listen_fds(3)). Standard input
# is the pipe: a line says to wait for the end, its end says to kill.
_SUPERVISOR = """
exec 3<&1 1>&2
LISTEN_FDS=1 /bin/sh -c 'export LISTEN_PID=$$; exec "$@"' sh "$@" </dev/null &
exec 3<&-
read -r _ || kill -KILL $!
wait $!
"""


class ImageServer:
    """Serves one image from construction to `end` or `kill`."""

    def __init__(
        self, node: str, image: Path, *, writable: bool = False, bitmap: str | None = None
    ) -> None:
        """``node`` is the image as a qemu file name; ``image`` its name for messages; ``bitmap``
        one of its dirty bitmaps, to be offered to clients."""
        self._image = image
        self._folder = Path(tempfile.mkdtemp(prefix="hypersdk-"))  # mode 0700
        self._log = self._folder / "log"
        self._socket = self._folder / "nbd"
        if len(os.fsencode(self._socket)) > _SOCKET_PATH_MAX:
            self._tidy()
            raise DataPathError(
                f"the temporary folder {self._folder.parent} has too long a path for a socket",
                hint="Set TMPDIR to a shorter one.",
            )
        try:
            self._process = self._started(node, writable, bitmap)
        except BaseException:
            self._tidy()
            raise

    def _started(self, node: str, writable: bool, bitmap: str | None) -> subprocess.Popen[bytes]:
        mode = ["--discard=unmap"] if writable else ["--read-only"]
        if writable and possible(self._image):
            mode.append("--cache=none")
        if bitmap is not None:
            mode.append(f"--bitmap={bitmap}")
        command = [qemutools.need("qemu-nbd"), "--shared=0", *mode, node]
        limited = qemutools.limited(command, cpu_seconds=None, memory=MEMORY_MAX)
        with socket.socket(socket.AF_UNIX) as listener, open(self._log, "wb") as log:
            listener.bind(str(self._socket))
            listener.listen(64)
            return subprocess.Popen(
                ["/bin/sh", "-c", _SUPERVISOR, "sh", *limited],
                stdin=subprocess.PIPE,
                stdout=listener.fileno(),
                stderr=log,
                env={**qemutools.environment(), **_MEMORY_KEPT},
                start_new_session=True,
            )

    def connected(self, connect: Callable[[str], T]) -> T:
        """``connect(uri)``.

        Raises ImageRefused with what qemu-nbd said when it could not serve the image.
        """
        try:
            return connect(f"nbd+unix:///?socket={urllib.parse.quote(str(self._socket))}")
        except EndpointTimeout:
            raise
        except DataPathError as error:
            reason = self.complaint() or error.message
            raise ImageRefused(
                f"{self._image} cannot be opened: {reason}",
                hint="If a guest runs on it, stop the guest or back it up through its hypervisor.",
            ) from error

    def complaint(self) -> str:
        """What qemu-nbd has written to its log."""
        text = qemutools.tidy(self._log.read_bytes()[-4000:].decode(errors="replace"))
        return re.sub(r"'json:.*?\}+'", "it", text)

    def end(self) -> None:
        """Wait until the process, which has no client any more, has written all and exited.

        Raises DataPathError when it did not end well.
        """
        try:
            self._process.communicate(b"wait\n", timeout=_END_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise EndpointTimeout(f"qemu-nbd does not end its work on {self._image}") from error
        if self._process.returncode != 0:
            raise DataPathError(f"qemu-nbd failed on {self._image}: {self.complaint()}")

    def kill(self) -> None:
        """End the process at once; what it did not write is lost. May be called several times."""
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: it dies later
            self._process.communicate(timeout=_KILL_SECONDS)
        self._tidy()

    def _tidy(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
