"""One qemu-nbd process of our own, on a private unix socket, that cannot outlive us.

How it ends when we are killed: without ``--persistent`` qemu-nbd exits when its last client
disconnects, and the kernel disconnects a dead client. The listening socket is made by us and
handed over (systemd's socket activation protocol), and one client is already in its queue
before the process starts. So there is no moment without a client, and no need for
PR_SET_PDEATHSIG, which follows the thread that forked rather than the process.
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
from hypersdk.model.errors import DataPathError, EndpointTimeout, ImageRefused

T = TypeVar("T")

#: A bound for a hostile image: buffers of all clients and caches of all layers stay far below.
MEMORY_MAX = 8 << 30
#: Longest path in bytes that fits into a unix socket address (unix(7): 108 with the final zero).
_SOCKET_PATH_MAX = 107
#: Seconds that a writing process may take for its last tables, and a reading one to end at all.
_END_SECONDS = 300
# The socket arrives as standard input, the only descriptor whose number Popen can choose; the
# protocol wants it as 3 and the process id in the environment (sd_listen_fds(3)).
_HAND_OVER = 'exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'


class ImageServer:
    """Serves one image from construction to `end` or `kill`."""

    def __init__(self, node: str, image: Path, *, writable: bool = False) -> None:
        """``node`` is the image as a qemu file name; ``image`` its name for messages."""
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
            self._first_client, self._process = self._started(node, writable)
        except BaseException:
            self._tidy()
            raise

    def _started(self, node: str, writable: bool) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        mode = ["--discard=unmap"] if writable else ["--read-only"]
        command = [qemutools.need("qemu-nbd"), "--shared=0", *mode, node]
        limited = qemutools.limited(command, cpu_seconds=None, memory=MEMORY_MAX)
        with contextlib.ExitStack() as undo:
            client = undo.enter_context(socket.socket(socket.AF_UNIX))
            with socket.socket(socket.AF_UNIX) as listener, open(self._log, "wb") as log:
                listener.bind(str(self._socket))
                listener.listen(64)
                client.connect(str(self._socket))
                process = subprocess.Popen(
                    ["/bin/sh", "-c", _HAND_OVER, "sh", *limited],
                    stdin=listener.fileno(),
                    stdout=log,
                    stderr=log,
                    env=qemutools.environment(),
                )
            undo.pop_all()
        return client, process

    def connected(self, connect: Callable[[str], T]) -> T:
        """``connect(uri)``, which stands for the first client from then on.

        Raises ImageRefused with what qemu-nbd said when it could not serve the image.
        """
        try:
            opened = connect(f"nbd+unix:///?socket={urllib.parse.quote(str(self._socket))}")
        except DataPathError as error:
            if isinstance(error, EndpointTimeout):
                raise
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=2)
            raise self._refused(f"cannot be opened: {self.complaint() or error.message}") from error
        self._first_client.close()
        return opened

    def complaint(self) -> str:
        """What qemu-nbd has written to its log."""
        text = qemutools.tidy(self._log.read_bytes()[-4000:].decode(errors="replace"))
        return re.sub(r"'json:.*?\}+'", "it", text)

    def end(self) -> None:
        """Wait until the process, which has no client any more, has written all and exited.

        Raises DataPathError when it did not end well.
        """
        self._first_client.close()
        try:
            status = self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise EndpointTimeout(f"qemu-nbd does not end its work on {self._image}") from error
        if status != 0:
            raise DataPathError(f"qemu-nbd failed on {self._image}: {self.complaint()}")

    def kill(self) -> None:
        """End the process at once; what it did not write is lost. May be called several times."""
        self._first_client.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._tidy()

    def _refused(self, reason: str) -> ImageRefused:
        return ImageRefused(
            f"{self._image} {reason}",
            hint="If a guest runs on it, stop the guest or back it up through its hypervisor.",
        )

    def _tidy(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
