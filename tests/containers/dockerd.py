"""A Docker engine of our own, which shares nothing with the machine's.

It has its own network namespace, so that bridges, addresses and ports of the host are not touched
and any number run side by side, and its own folder for all that it keeps. It gets a signal when
the process that started it dies, and stops its containers then.

Processes and control groups are the host's: the driver, like a test, sees them.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

#: Seconds until the engine must answer, and until it must be gone.
_START_SECONDS = 60
_END_SECONDS = 30
#: Image with a shell and the usual commands; its first process obeys SIGTERM.
IMAGE = "lab:1"
#: A command that runs until it is told to stop. As first process a plain ``sleep`` ignores SIGTERM.
RUNS = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done")
_NETWORKS = ("bridge", "host", "none")
_NO_TAG = "<none>:<none>"
_BUSYBOX = Path("/bin/busybox")

# The pid stays the same through all of these, so it is dockerd that gets the signal.
_INSIDE = 'ip link set lo up && exec setpriv --pdeathsig TERM "$@"'


class Dockerd:
    """A running engine, from construction to `close`. Needs root."""

    folder: Path
    #: As the driver names it.
    url: str

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hd-", dir="/tmp"))
        self.socket = self.folder / "s"
        self.url = f"docker://{self.socket}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.start()
            self.load()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """On the same data as before. Does nothing while it runs."""
        if self._process is not None:
            return
        words = [
            *("dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec"),
            *("--host", f"unix://{self.socket}", "--pidfile", self.folder / "pid"),
            *("--iptables=false", "--ip6tables=false", "--shutdown-timeout", "1"),
            *self._options,
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", _INSIDE, "sh", *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us alone
            )
        deadline = time.monotonic() + _START_SECONDS
        while self.run("version", check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"dockerd does not start:\n{self.log()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """As by its service: containers are stopped. Does nothing when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop it and remove all files. May be called twice."""
        if self._process is not None:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.remove_all()
        self.stop()
        for mount in self._mounts():
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def run(
        self, *words: str, check: bool = True, input: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """The docker command, which knows nothing of our driver."""
        return subprocess.run(
            ["docker", "--host", f"unix://{self.socket}", *words],
            input=input,
            capture_output=True,
            check=check,
        )

    def said(self, *words: str) -> str:
        return self.run(*words).stdout.decode().strip()

    def lines(self, *words: str) -> list[str]:
        return self.said(*words).splitlines()

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.said("inspect", name))[0]
        return found

    def sh(self, name: str, script: str) -> bytes:
        """Run a script in a running container."""
        return self.run("exec", name, "sh", "-c", script).stdout

    def load(self, tag: str = IMAGE) -> None:
        """Make the lab's image."""
        self.run("import", "-", tag, input=filesystem())

    def remove_all(self) -> None:
        """All containers, volumes and networks, and all images but the lab's."""
        for container in self.api("GET", "/containers/json?all=1"):
            self.api("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        for volume in self.api("GET", "/volumes")["Volumes"] or ():
            self.api("DELETE", f"/volumes/{volume['Name']}")
        for network in self.api("GET", "/networks"):
            if network["Name"] not in _NETWORKS:
                self.api("DELETE", f"/networks/{network['Id']}")
        for image in self.api("GET", "/images/json"):
            for tag in image["RepoTags"] or [image["Id"]]:
                if tag != IMAGE:
                    self.api("DELETE", f"/images/{image['Id'] if tag == _NO_TAG else tag}")

    def left(self) -> set[str]:
        """Everything that instances leave behind."""
        images = [
            tag for row in self.api("GET", "/images/json") for tag in row["RepoTags"] or [_NO_TAG]
        ]
        found = {
            "container": [row["Names"][0][1:] for row in self.api("GET", "/containers/json?all=1")],
            "volume": [row["Name"] for row in self.api("GET", "/volumes")["Volumes"] or ()],
            "image": [tag for tag in images if tag != IMAGE],
            "network": [
                row["Name"] for row in self.api("GET", "/networks") if row["Name"] not in _NETWORKS
            ],
        }
        return {f"{kind} {name}" for kind, names in found.items() for name in names}

    def processes(self, name: str) -> list[str]:
        """Command lines of what runs in a container."""
        found = []
        for pid in (cgroup("pids", self.inspect(name)["Id"]) / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):  # it ended meanwhile
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                found.append(b" ".join(words).decode().strip())
        return found

    def api(self, method: str, path: str) -> Any:
        """One call of the engine, quicker than by the command. Gone already is no error."""
        connection = _Connection("docker", timeout=_END_SECONDS)
        connection.place = str(self.socket)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        assert answer.status < 400 or answer.status == 404, content
        return json.loads(content) if content else None

    def _mounts(self) -> Sequence[str]:
        """Deepest first."""
        places = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return sorted(
            (place for place in places if place.startswith(f"{self.folder}/")), reverse=True
        )


class _Connection(http.client.HTTPConnection):
    """To a unix socket."""

    place = ""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.place)


def filesystem() -> bytes:
    """A tar archive with busybox and a link for each of its commands."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("data", 0o755)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        archive.add(_BUSYBOX, "bin/busybox")
        listed = subprocess.run([_BUSYBOX, "--list"], capture_output=True, check=True)
        for command in listed.stdout.decode().split():
            if command != "busybox":
                entry = tarfile.TarInfo(f"bin/{command}")
                entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(entry)
        content = b"root:x:0:0:root:/:/bin/sh\nlab:x:1000:1000::/tmp:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def cgroup(controller: str, container: str) -> Path:
    """Folder of a container's control group. ``container``: Docker's full id."""
    for root in (Path("/sys/fs/cgroup") / controller, Path("/sys/fs/cgroup")):
        for path in (
            root / "docker" / container,
            root / "system.slice" / f"docker-{container}.scope",
        ):
            if path.is_dir():
                return path
    raise AssertionError(f"no control group {controller} of {container}")


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
