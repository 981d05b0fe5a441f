"""Docker: what the kit makes there, and how it looks at it past the driver.

Containers are seen with the ``docker`` command, their limits in the files of their control groups
where the engine runs on this host.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hypersdk.conformance.target import Expectations, Observation, Site
from hypersdk.conformance.targets import busybox
from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.registry import connect
from hypersdk.model.errors import HypervisorError, InvalidInput, MissingRequirement
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from hypersdk.model.units import MIB

_MEMORY = 64 * MIB
#: A command that looks into the backend and takes longer has failed.
_SECONDS = 60.0
#: File in the root filesystem that stands for a disk.
_FILE = "kit.img"
#: How commands of all ages say that a file is not there.
_NO_FILE = (b"could not find the file", b"no such container:path")
_NANO = 1_000_000_000
#: What everybody has in ``cpu.shares`` of cgroups v1, where ``cpu.weight`` of v2 has 100.
_USUAL_SHARES = 1024
#: What there is → the command that lists it, an entry on each line.
_LISTS = {
    "container": ("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}"),
    "image": ("images", "--all", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"),
    "volume": ("volume", "ls", "--format", "{{.Name}}"),
    "network": ("network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}}"),
}
_STATES = {
    "created": InstanceState.STOPPED,
    "exited": InstanceState.STOPPED,
    "dead": InstanceState.STOPPED,
    "running": InstanceState.RUNNING,
    "paused": InstanceState.PAUSED,
}


def target(url: str, site: Site) -> DockerTarget:
    """Raises MissingRequirement, InvalidInput, HypervisorError."""
    if shutil.which("docker") is None:
        raise MissingRequirement("'docker' is not installed", hint="apt install docker.io")
    parts = urlsplit(url)
    if parts.netloc or parts.path in ("", "/"):
        raise InvalidInput(
            f"the kit looks at engines of this host, not at '{url}'",
            hint="docker:///var/run/docker.sock",
        )
    return DockerTarget(url, unquote(parts.path), site)


class DockerTarget:
    """An engine on this host. The image is taken away at the end if it was brought along."""

    def __init__(self, url: str, path: str, site: Site) -> None:
        self.url = url
        self._path = path
        command = self._command = Command(path)
        self._image = site.image
        if not site.image:
            self._image = f"hypersdk-kit/busybox:{secrets.token_hex(4)}"
            changes = f"CMD {json.dumps(busybox.OBEDIENT)}"
            words = ("import", "--change", changes, "-", self._image)
            command.run(*words, stdin=busybox.rootfs_tar())
        self._own_image = not site.image
        self.observer = DockerObserver(command)
        self.guest = DockerGuest(command)
        self.expectations = Expectations(obeys_stop=not site.image, start=10, stop=15, settle=10)

    def connect(self) -> Hypervisor:
        return connect(self.url)

    def spec(self, name: str) -> InstanceSpec:
        return InstanceSpec(name=name, image=self._image, memory=_MEMORY)

    def disk(self, name: str) -> DiskSpec | None:  # noqa: ARG002 - of the port
        return None

    def disconnect(self, hypervisor: Hypervisor) -> bool:  # noqa: ARG002
        """Shut down all connections of this process: whose they are cannot be told, and each is
        made anew when it is needed."""
        cut = False
        for descriptor in _sockets_to(self._path):
            with socket.socket(fileno=os.dup(descriptor)) as shared, contextlib.suppress(OSError):
                shared.shutdown(socket.SHUT_RDWR)
                cut = True
        return cut

    def close(self) -> None:
        if self._own_image:
            self._command.ask("rmi", self._image)

    # What only some targets can do.

    def stubborn(self, name: str) -> InstanceSpec:
        return InstanceSpec(name=name, image=self._image, memory=_MEMORY, command=busybox.STUBBORN)

    def nic(self) -> NicSpec:
        return NicSpec(network="bridge")

    def make_foreign(self, name: str) -> None:
        self._command.run("create", "--name", name, "--network", "none", self._image)

    def remove(self, name: str) -> None:
        self._command.run("rm", "--volumes", name)


class Command:
    """Docker's own command."""

    def __init__(self, path: str) -> None:
        self._host = f"unix://{path}"

    def run(self, *words: str, stdin: bytes = b"") -> bytes:
        """Raises HypervisorError with what it says."""
        done = self.ask(*words, stdin=stdin)
        if done.returncode != 0:
            raise HypervisorError(
                f"docker {words[0]} failed: {done.stderr.decode().strip()}",
                hint="See what the docker command says.",
            )
        return done.stdout

    def ask(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["docker", "--host", self._host, *words],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )

    def inspect(self, name: str) -> Mapping[str, Any] | None:
        done = self.ask("container", "inspect", name)
        if done.returncode != 0:
            if b"no such container" in done.stderr.lower():
                return None
            raise HypervisorError(f"docker says: {done.stderr.decode()}", hint="See it yourself.")
        found: Mapping[str, Any] = json.loads(done.stdout)[0]
        return found


class DockerObserver:
    """See `hypersdk.conformance.target.Observer`."""

    def __init__(self, command: Command) -> None:
        self._command = command

    def look(self, name: str) -> Observation | None:
        """Limits are read from the control groups of a container that runs; of one that is stopped
        there is only what the engine is going to set."""
        found = self._command.inspect(name)
        if found is None:
            return None
        asked = found["HostConfig"]
        state = _STATES.get(found["State"]["Status"], InstanceState.UNKNOWN)
        limit = asked["NanoCpus"] / _NANO if asked["NanoCpus"] else None
        shares, pids = asked["CpuShares"], asked["PidsLimit"]
        memory = asked["Memory"]
        weight = round(shares * 100 / _USUAL_SHARES) if shares else None
        if (pid := found["State"]["Pid"]) and state is not InstanceState.STOPPED:
            groups = ControlGroups(pid)
            limit, weight = groups.cpu_limit(), groups.cpu_weight()
            memory = groups.number("memory", "memory.limit_in_bytes", "memory.max")
            pids = groups.number("pids", "pids.max", "pids.max")
        networks = [each for each in found["NetworkSettings"]["Networks"] if each != "none"]
        return Observation(
            id=found["Config"]["Labels"].get("dev.hypersdk.id") or found["Id"],
            state=state,
            # A whole number of processors' worth of time is what processors become here.
            vcpus=int(limit) if limit is not None and limit == int(limit) else None,
            cpu_weight=weight,
            cpu_limit=limit,
            memory=memory,
            pids_limit=pids or None,
            env=dict(line.partition("=")[::2] for line in found["Config"]["Env"] or ()),
            nics=tuple(sorted(networks)),
        )

    def resources(self) -> frozenset[str]:
        with ThreadPoolExecutor(len(_LISTS)) as pool:
            lists = pool.map(lambda words: self._command.run(*words).decode(), _LISTS.values())
            return frozenset(
                f"{kind} {line}"
                for kind, text in zip(_LISTS, lists, strict=True)
                for line in text.splitlines()
            )


class DockerGuest:
    """A file in the root filesystem: written inside the container while it runs, and put there by
    ``docker cp`` otherwise."""

    disk = "rootfs"
    file = _FILE

    def __init__(self, command: Command) -> None:
        self._command = command

    def write(self, name: str, offset: int, data: bytes) -> None:
        if self._runs(name):
            place = ("bs=64k", "oflag=seek_bytes", f"seek={offset}", "conv=notrunc,fsync")
            self._command.run(
                "exec", "--interactive", name, "dd", f"of=/{_FILE}", *place, stdin=data
            )
            return
        whole = self._whole(name).ljust(offset, b"\0")
        self._put(name, whole[:offset] + data + whole[offset + len(data) :])

    def zero(self, name: str, offset: int, length: int) -> None:
        self.write(name, offset, bytes(length))

    def read(self, name: str, offset: int, length: int) -> bytes:
        """What is behind the end of the file is zero."""
        return self._whole(name)[offset : offset + length].ljust(length, b"\0")

    def _runs(self, name: str) -> bool:
        found = self._command.inspect(name)
        return found is not None and found["State"]["Status"] == "running"

    def _whole(self, name: str) -> bytes:
        done = self._command.ask("cp", f"{name}:/{_FILE}", "-")
        if done.returncode != 0:
            said = done.stderr.lower()
            if any(words in said for words in _NO_FILE):
                return b""  # never written
            raise HypervisorError(
                f"'{name}' cannot be read: {done.stderr.decode().strip()}", hint="See docker cp."
            )
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            file = archive.extractfile(_FILE)
            return file.read() if file else b""

    def _put(self, name: str, content: bytes) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo(_FILE)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        self._command.run("cp", "-", f"{name}:/", stdin=buffer.getvalue())


class ControlGroups:
    """Files of the control groups of a process, of either version."""

    def __init__(self, pid: int) -> None:
        self._folders: dict[str, Path] = {}
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                self._folders[controller] = Path("/sys/fs/cgroup", controller, path.lstrip("/"))

    def cpu_limit(self) -> float | None:
        """Processors' worth of time; None without a limit."""
        old = self._read("cpu", "cpu.cfs_quota_us")
        if old is not None:
            period = int(self._read("cpu", "cpu.cfs_period_us") or 1)
            return int(old) / period if int(old) > 0 else None
        words = (self._read("", "cpu.max") or "max").split()
        return None if words[0] == "max" else int(words[0]) / int(words[1])

    def cpu_weight(self) -> int | None:
        shares = self._read("cpu", "cpu.shares")
        if shares is not None:
            return round(int(shares) * 100 / _USUAL_SHARES)
        return self.number("", "", "cpu.weight")

    def number(self, controller: str, old: str, new: str) -> int | None:
        """Of the file ``old`` of a controller of its own, else of ``new``; None for no limit."""
        text = self._read(controller, old) or self._read("", new)
        return int(text) if text and text.isdigit() else None

    def _read(self, controller: str, file: str) -> str | None:
        folder = self._folders.get(controller)
        with contextlib.suppress(OSError):
            return (folder / file).read_text().strip() if folder and file else None
        return None


def _sockets_to(path: str) -> Iterator[int]:
    """Our own descriptors that are connected to this socket."""
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{entry}").startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry))) as shared:
                    if shared.family == socket.AF_UNIX and shared.getpeername() == path:
                        yield int(entry)
