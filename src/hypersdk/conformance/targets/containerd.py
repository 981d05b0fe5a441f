"""containerd: what the kit makes there, and how it looks at it past the driver.

Containers are seen with ``ctr``, their limits in the files of their cgroups, their processes and
files below ``/proc``. All of that takes root on the host.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hypersdk.conformance.target import Expectations, Observation, Site
from hypersdk.conformance.targets import busybox
from hypersdk.conformance.targets.walking import paths_under
from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.registry import connect
from hypersdk.model.errors import HypervisorError, MissingRequirement
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec
from hypersdk.model.units import MIB

_MEMORY = 64 * MIB
#: A program that looks into the backend and takes longer has failed.
_SECONDS = 60.0
#: File in the root filesystem that stands for a disk.
_FILE = "kit.img"
#: What everybody has in ``cpu.shares`` of cgroups v1, where ``cpu.weight`` of v2 has 100.
_USUAL_SHARES = 1024
#: What there is → the command that lists it, an entry on each line.
_LISTS = {
    "container": ("containers", "list", "--quiet"),
    "image": ("images", "list", "--quiet"),
    "content": ("content", "list", "--quiet"),
    "lease": ("leases", "list", "--quiet"),
    "snapshot": ("snapshots", "list"),
}
_STATES = {
    "RUNNING": InstanceState.RUNNING,
    "PAUSED": InstanceState.PAUSED,
    "PAUSING": InstanceState.PAUSED,
    # Made, and its first process waits.
    "CREATED": InstanceState.PAUSED,
    "STOPPED": InstanceState.STOPPED,
}


def target(url: str, site: Site) -> ContainerdTarget:
    """Raises MissingRequirement, HypervisorError."""
    for program in ("ctr", "unshare", "dd"):
        if shutil.which(program) is None:
            raise MissingRequirement(f"'{program}' is not installed", hint="apt install containerd")
    return ContainerdTarget(url, site)


class ContainerdTarget:
    """A namespace of a containerd on this host. The image is taken away at the end if it was
    brought along."""

    def __init__(self, url: str, site: Site) -> None:
        self.url = url
        parts = urlsplit(url)
        fields = dict(parse_qsl(parts.query))
        self._socket = unquote(parts.path).rstrip("/") or "/run/containerd/containerd.sock"
        namespace = fields.get("namespace", "default")
        folder = fields.get("folder", "/var/lib/hypersdk/containerd")
        ctr = self._ctr = Ctr(self._socket, namespace)
        self._image = site.image
        if not site.image:
            self._image = f"hypersdk.kit/busybox:{secrets.token_hex(4)}"
            ctr.import_archive(busybox.oci_archive(self._image))
        self._own_image = not site.image
        self.observer = ContainerdObserver(ctr, Path(folder, namespace))
        self.guest = ContainerdGuest(ctr)
        self.expectations = Expectations(obeys_stop=not site.image, start=10, stop=15, settle=10)
        self._connecting = threading.Lock()
        #: Connection → its sockets, and under None those that are of no concern.
        self._sockets: dict[int | None, frozenset[int]] = {None: self._open_sockets()}

    def connect(self) -> Hypervisor:
        with self._connecting:
            before = self._open_sockets()
            hypervisor = connect(self.url)
            self._sockets[id(hypervisor)] = self._open_sockets() - before
        return hypervisor

    def spec(self, name: str) -> InstanceSpec:
        return InstanceSpec(name=name, image=self._image, memory=_MEMORY)

    def disk(self, name: str) -> DiskSpec | None:  # noqa: ARG002
        return None

    def disconnect(self, hypervisor: Hypervisor) -> bool:
        """Shut its socket down; containerd and whoever connects anew see nothing of that."""
        with self._connecting:
            there = self._open_sockets()
            mine = self._sockets.pop(id(hypervisor), frozenset()) & there
            if not mine:  # it has connected anew since
                mine = there.difference(*self._sockets.values())
        for descriptor in _sockets_to(self._socket):
            if os.fstat(descriptor).st_ino in mine:
                with socket.socket(fileno=os.dup(descriptor)) as shared:
                    shared.shutdown(socket.SHUT_RDWR)
        return bool(mine)

    def close(self) -> None:
        if self._own_image:
            self._ctr.ask("images", "rm", "--sync", self._image)

    # What only some targets can do.

    def stubborn(self, name: str) -> InstanceSpec:
        return InstanceSpec(name=name, image=self._image, memory=_MEMORY, command=busybox.STUBBORN)

    def make_foreign(self, name: str) -> None:
        self._ctr.run("containers", "create", self._image, name)

    def remove(self, name: str) -> None:
        self._ctr.run("containers", "rm", name)

    def _open_sockets(self) -> frozenset[int]:
        """Inodes: a descriptor may be used again for something else."""
        return frozenset(os.fstat(one).st_ino for one in _sockets_to(self._socket))


@dataclass(frozen=True, slots=True)
class Ctr:
    """containerd's own command."""

    socket: str
    namespace: str

    def run(self, *arguments: str, stdin: bytes = b"") -> str:
        """Raises HypervisorError with what it says."""
        done = self.ask(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise HypervisorError(
                f"ctr {' '.join(arguments[:2])} failed: {done.stderr.decode().strip()}",
                hint="See ctr yourself.",
            )
        return done.stdout.decode()

    def ask(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["ctr", "--address", self.socket, "--namespace", self.namespace, *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )

    def import_archive(self, archive: bytes) -> None:
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            file.write(archive)
            file.flush()
            self.run("images", "import", file.name)

    def container(self, name: str) -> Mapping[str, Any] | None:
        done = self.ask("containers", "info", name)
        if done.returncode != 0:
            if b"not found" in done.stderr:
                return None
            raise HypervisorError(f"ctr says: {done.stderr.decode()}", hint="See ctr yourself.")
        found: Mapping[str, Any] = json.loads(done.stdout)
        return found

    def tasks(self) -> dict[str, tuple[int, str]]:
        """Container → process and state."""
        lines = self.run("tasks", "list").splitlines()[1:]
        return {name: (int(pid), state) for name, pid, state in map(str.split, lines)}


class ContainerdObserver:
    """See `hypersdk.conformance.target.Observer`."""

    def __init__(self, ctr: Ctr, folder: Path) -> None:
        """``folder``: where the driver keeps logs and volumes of the namespace."""
        self._ctr = ctr
        self._folder = folder

    def look(self, name: str) -> Observation | None:
        found = self._ctr.container(name)
        if found is None:
            return None
        pid, word = self._ctr.tasks().get(name, (0, "STOPPED"))
        state = _STATES.get(word, InstanceState.UNKNOWN)
        if state is InstanceState.STOPPED or not pid:
            return Observation(id=found["ID"], state=state)
        cgroup = Cgroup(pid)
        allowed = cgroup.cpu_limit()
        return Observation(
            id=found["ID"],
            state=state,
            # A whole number of processors' worth of time is what processors become here.
            vcpus=int(allowed) if allowed is not None and allowed.is_integer() else None,
            cpu_weight=cgroup.cpu_weight(),
            cpu_limit=allowed,
            memory=cgroup.number("memory", "memory.limit_in_bytes", "memory.max"),
            pids_limit=cgroup.number("pids", "pids.max", "pids.max"),
            env=_environment(pid),
        )

    def resources(self) -> frozenset[str]:
        ctr, namespace = self._ctr, self._ctr.namespace
        with ThreadPoolExecutor(len(_LISTS)) as pool:
            lists = pool.map(lambda words: ctr.run(*words), _LISTS.values())
            found = {
                f"{kind} {line.split()[0]}"
                for kind, text in zip(_LISTS, lists, strict=True)
                for line in text.splitlines()
                if not line.startswith(("KEY ", "\t")) and line.strip()
            }
        found |= {f"shim {line}" for line in _shims(ctr.socket, namespace)}
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        found |= {f"mount {line.split()[1]}" for line in mounts if f"/{namespace}/" in line}
        for path in paths_under(Path("/sys/fs/cgroup")):
            if path.parent.name == "hypersdk" and path.name.startswith(f"{namespace}-"):
                found.add(f"cgroup {path}")
        if self._folder.is_dir():
            found |= {f"file {path}" for path in paths_under(self._folder) if path.is_file()}
            found |= {f"volume {path}" for path in self._folder.glob("volumes/*")}
        return frozenset(found)


class ContainerdGuest:
    """A file in the root filesystem, written from the host: through ``/proc`` while the container
    runs, and over its snapshot, mounted where nobody else sees it, while it is stopped."""

    disk = "rootfs"

    def __init__(self, ctr: Ctr) -> None:
        self._ctr = ctr

    def write(self, name: str, offset: int, data: bytes) -> None:
        self._dd(
            name, data, "of={file}", "oflag=seek_bytes", f"seek={offset}", "conv=notrunc,fsync"
        )

    def zero(self, name: str, offset: int, length: int) -> None:
        self.write(name, offset, bytes(length))

    def read(self, name: str, offset: int, length: int) -> bytes:
        """What is behind the end of the file is zero."""
        flags = "iflag=skip_bytes,count_bytes"
        # Reading a file that was never written makes it, empty.
        self._dd(name, b"", "of={file}", "conv=notrunc")
        found = self._dd(name, b"", "if={file}", flags, f"skip={offset}", f"count={length}")
        return found.ljust(length, b"\0")

    def _dd(self, name: str, data: bytes, *words: str) -> bytes:
        pid, _ = self._ctr.tasks().get(name, (0, ""))
        root = f"/proc/{pid}/root" if pid else "/mnt"
        command = [
            "dd",
            "bs=64K",
            "status=none",
            *(one.format(file=f"{root}/{_FILE}") for one in words),
        ]
        if not pid:
            command = [
                "unshare",
                "--mount",
                "sh",
                "-ec",
                f'{self._mount(name)}; exec "$@"',
                "sh",
                *command,
            ]
        done = subprocess.run(
            command, input=data, capture_output=True, check=False, timeout=_SECONDS
        )
        if done.returncode != 0:
            raise HypervisorError(
                f"'{name}' cannot be written: {done.stderr.decode().strip()}", hint="Are you root?"
            )
        return done.stdout

    def _mount(self, name: str) -> str:
        """The command that mounts its root filesystem."""
        found = self._ctr.container(name)
        if found is None:
            raise HypervisorError(f"there is no '{name}'", hint="It was there a moment ago.")
        which = ("--snapshotter", found["Snapshotter"])
        return self._ctr.run("snapshots", *which, "mounts", "/mnt", found["SnapshotKey"]).strip()


class Cgroup:
    """Files of the control groups of a process, of either version."""

    def __init__(self, pid: int) -> None:
        self._folders: dict[str, Path] = {}
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                self._folders[controller] = Path("/sys/fs/cgroup", controller, path.lstrip("/"))

    def cpu_limit(self) -> float | None:
        """Processors' worth of time; None without a limit."""
        old = self.read("cpu", "cpu.cfs_quota_us")
        if old is not None:
            quota, period = int(old), int(self.read("cpu", "cpu.cfs_period_us") or 1)
            return quota / period if quota > 0 else None
        words = (self.read("", "cpu.max") or "max").split()
        return None if words[0] == "max" else int(words[0]) / int(words[1])

    def cpu_weight(self) -> int | None:
        shares = self.read("cpu", "cpu.shares")
        if shares is not None:
            return round(int(shares) * 100 / _USUAL_SHARES)
        return self.number("", "", "cpu.weight")

    def number(self, controller: str, old: str, new: str) -> int | None:
        """Of the file ``old`` of a controller of its own, else of ``new``; None for no limit."""
        text = self.read(controller, old) if controller in self._folders else None
        text = text if text is not None else self.read("", new)
        return int(text) if text and text.isdigit() else None

    def read(self, controller: str, file: str) -> str | None:
        folder = self._folders.get(controller)
        with contextlib.suppress(OSError):
            return (folder / file).read_text().strip() if folder and file else None
        return None


def _environment(pid: int) -> dict[str, str]:
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
        return dict(line.partition("=")[::2] for line in text.split("\0") if line)
    return {}


def _shims(address: str, namespace: str) -> Iterator[str]:
    """Containers of the shims that serve this namespace of this containerd."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_text().split("\0")
            if address in words and namespace in words and "-id" in words:
                yield words[words.index("-id") + 1]


def _sockets_to(path: str) -> Iterator[int]:
    """Our own descriptors that are connected to this socket."""
    for entry in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{entry}").startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry))) as shared:
                    if shared.family == socket.AF_UNIX and shared.getpeername() == path:
                        yield int(entry)
