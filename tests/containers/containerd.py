"""A containerd of our own, which shares nothing with the machine's and cannot outlive us.

It runs with its own root, state and socket in a folder, so any number run side by side. Shims
survive their daemon on purpose, so another process (`reaper`) waits on a pipe that only we hold:
when we close it, or die, it ends the daemon and its shims, lets go of mounts and cgroups, and
removes the folder.

Paths are short: unix sockets end after 107 bytes.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest

from hypersdk.conformance.targets.busybox import OBEDIENT, oci_archive
from tests.components import require, require_root
from tests.containers import reaper

#: Seconds until the daemon must answer, and until all of it must be gone.
_START_SECONDS = 30
_END_SECONDS = 20
#: Name of the image made of busybox; its first process obeys SIGTERM.
IMAGE = "hypersdk.test/busybox:1"

_CONFIG = """version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
    "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "{folder}/c.sock"
[ttrpc]
address = "{folder}/t.sock"
"""


class Containerd:
    """A running private containerd, from construction to `close`. Needs root."""

    def __init__(self, *, room: int = 0) -> None:
        """``room``: bytes for images and containers, in memory; 0: as much as the disk has."""
        self.folder = Path(tempfile.gettempdir(), f"hypersdk-ctd-{secrets.token_hex(6)}")
        self.folder.mkdir(mode=0o700)
        #: Cgroups are the machine's, and are named by namespace: it is nobody else's.
        self.namespace = self.folder.name
        (self.folder / "config.toml").write_text(_CONFIG.format(folder=self.folder))
        self._watcher = subprocess.Popen(
            [sys.executable, reaper.__file__, str(self.folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if room:
                (self.folder / "root").mkdir()
                tmpfs = ("-t", "tmpfs", "-o", f"size={room}", "room", self.folder / "root")
                subprocess.run(("mount", *tmpfs), check=True)
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def socket(self) -> Path:
        return self.folder / "c.sock"

    @property
    def url(self) -> str:
        """The daemon, as HyperSDK's driver names it."""
        return self.url_of(self.namespace)

    def url_of(self, namespace: str) -> str:
        return f"containerd://{self.socket}?namespace={namespace}&folder={self.folder}/hypersdk"

    def start(self) -> None:
        """Start the daemon unless it runs; wait until it answers."""
        if self._process is not None:
            return
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["containerd", "--config", str(self.folder / "config.toml")],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while self._ctr("version").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"containerd does not answer:\n{self.log()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """As a crash: its shims and their containers run on."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Leave the socket open and answer nothing, until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End all of it. May be called several times."""
        assert self._watcher.stdin is not None
        if self._process is not None:
            self.kill()
        self._watcher.stdin.close()
        self._watcher.wait(_END_SECONDS * 2)

    def ctr(self, *arguments: str, stdin: bytes = b"") -> str:
        """What containerd's own command prints, in our namespace; raises AssertionError."""
        done = self._ctr(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise AssertionError(f"ctr {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout.decode()

    def import_image(self, name: str = IMAGE, command: Sequence[str] = OBEDIENT) -> str:
        """Take in an image made of busybox, past the driver; its name."""
        archive = self.folder / "image.tar"
        archive.write_bytes(oci_archive(name, command))
        self.ctr("images", "import", str(archive))
        archive.unlink()
        return name

    def shims(self) -> dict[int, str]:
        """Process id → container, of the shims of this daemon."""
        return reaper.shims(self.folder)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _ctr(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = ["ctr", "--address", str(self.socket), "--connect-timeout", "2s"]
        return subprocess.run(
            [*command, "--namespace", self.namespace, *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
        )

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(_END_SECONDS)
            self._process = None


def require_containerd() -> None:
    """Skip the test when something is missing; under ``CI=true`` that is a failure."""
    require_root()
    require("containerd", "containerd-shim-runc-v2", "ctr", "runc", "busybox")


@pytest.fixture(scope="session")
def containerd() -> Iterator[Containerd]:
    """A private containerd with the image of busybox, one for each worker."""
    require_containerd()
    with Containerd() as daemon:
        daemon.import_image()
        yield daemon
