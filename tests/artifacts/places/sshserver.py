"""A real OpenSSH server on a free port, for one user, with keys of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.components import missing, require

_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
MaxStartups 100
"""


@dataclass
class SshServer:
    """Running within a ``with`` block. Whoever has ``key`` may log in."""

    folder: Path
    port: int = 0

    def __enter__(self) -> Self:
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if program is None:
            missing("needs sshd: run scripts/setup")
        require("ssh-keygen", "setpriv", "ps")
        for name in ("host", "user", "stranger"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        shutil.copy(self.folder / "user.pub", self.folder / "authorized")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        config = self.folder / "sshd_config"
        config.write_text(_CONFIG.format(port=self.port, folder=self.folder))
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # where sshd confines itself to
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                # Ends with whoever runs the tests, also when that is killed.
                ["setpriv", "--pdeathsig", "KILL", program, "-D", "-e", "-f", str(config)],
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def cut(self) -> None:
        """Break every connection; the server goes on."""
        for each in self._sessions():
            os.kill(each, signal.SIGKILL)

    @property
    def user(self) -> str:
        return getpass.getuser()

    @property
    def key(self) -> Path:
        return self.folder / "user"

    @property
    def fingerprint(self) -> str:
        made = subprocess.run(
            ["ssh-keygen", "-l", "-f", str(self.folder / "host.pub")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return made.stdout.split()[1]

    def url(self, folder: Path, **options: str) -> str:
        chosen = {"key": str(self.key), "fingerprint": self.fingerprint, **options}
        query = "&".join(f"{name}={value}" for name, value in chosen.items() if value)
        return f"sftp://{self.user}@127.0.0.1:{self.port}{folder}?{query}"

    def _sessions(self) -> list[int]:
        listed = subprocess.run(
            ["ps", "--no-headers", "-o", "pid", "--ppid", str(self._process.pid)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return [int(each) for each in listed.stdout.split()]

    def _wait(self) -> None:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            except ConnectionRefusedError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return
        raise RuntimeError((self.folder / "log").read_text())
