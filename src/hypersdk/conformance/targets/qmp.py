"""QEMU without libvirt: what the kit makes there, and how it looks at it past the driver.

Processes are found in ``/proc`` and asked over their spare monitor, with a few lines of JSON on a
socket. What does not run is only a folder: its definition is read, and its disks with QEMU's own
commands.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from hypersdk.conformance.target import Expectations, Observation, Site
from hypersdk.conformance.targets.walking import paths_under
from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.registry import connect
from hypersdk.model.errors import HypervisorError, InvalidInput, InvalidState, MissingRequirement
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from hypersdk.model.units import MIB

_MEMORY = 128 * MIB
_DISK = 64 * MIB
#: Until the system of the site obeys its power button: it boots in software.
_BOOT_SECONDS = 8.0
#: A program or monitor that takes longer has failed.
_SECONDS = 60.0
_CRASH_SECONDS = 20.0
_SECTOR = 512
_STATES = {
    "running": InstanceState.RUNNING,
    "guest-panicked": InstanceState.CRASHED,
    "internal-error": InstanceState.CRASHED,
}
#: Of the hypervisor, not of its instances.
_OWN = {"hypervisor.json", "hypervisor.lock", "kvm.json"}


def target(url: str, site: Site) -> QmpTarget:
    """Raises InvalidInput, InvalidState, MissingRequirement."""
    path = Path(unquote(urlsplit(url).path))
    if not path.is_absolute() or len(path.parts) < 2:
        raise InvalidInput(f"{url} names no folder", hint="Write qmp:///absolute/path")
    for program in ("qemu-system-x86_64", "qemu-img", "qemu-io"):
        if shutil.which(program) is None:
            raise MissingRequirement(
                f"'{program}' is not installed", hint="apt install qemu-system-x86 qemu-utils"
            )
    return QmpTarget(url, path, site)


class QmpTarget:
    """A folder on this host."""

    def __init__(self, url: str, root: Path, site: Site) -> None:
        self.url = url
        self._site = site
        self._backend = backend = Backend(root)
        self._own_folder = not site.folder
        self._folder = Path(site.folder or tempfile.mkdtemp(prefix="hypersdk-kit-"))
        self.observer = QmpObserver(backend, self._folder)
        self.guest = QmpGuest(backend)
        self.expectations = Expectations(
            obeys_stop=bool(site.kernel), boot=_BOOT_SECONDS if site.kernel else 0.0
        )

    def connect(self) -> Hypervisor:
        return connect(self.url)

    def spec(self, name: str) -> InstanceSpec:
        return InstanceSpec(
            name=name,
            memory=_MEMORY,
            disks=(DiskSpec(name="vda", size=_DISK),),
            acceleration=self._site.acceleration,
            kernel=self._site.kernel,
            initrd=self._site.initrd,
            kernel_arguments=self._site.kernel_arguments,
        )

    def disk(self, name: str) -> DiskSpec:
        """A file of its own for each: the kit keeps what it detaches."""
        file = f"{secrets.token_hex(8)}.qcow2" if name else "disk.qcow2"
        return DiskSpec(size=MIB, path=str(self._folder / file))

    def disconnect(self, hypervisor: Hypervisor) -> bool:  # noqa: ARG002
        """There is no connection: each call makes its own."""
        return False

    def close(self) -> None:
        if self._own_folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    # What only some targets can do.

    def nic(self) -> NicSpec:
        return NicSpec()

    def stubborn(self, name: str) -> InstanceSpec:
        """Firmware that finds no system knows no power button."""
        spec = self.spec(name)
        return InstanceSpec(
            name=name, memory=spec.memory, disks=spec.disks, acceleration=spec.acceleration
        )

    def remove(self, name: str) -> None:
        folder, _ = self._backend.definition(name)
        shutil.rmtree(folder)

    def crash(self, name: str) -> None:
        """What the guest's kernel would do: tell the device that listens for it."""
        deadline = time.monotonic() + _CRASH_SECONDS
        with self._backend.monitor(name) as monitor:
            monitor.people("o /b 0x505 1")
            while monitor.ask("query-status")["status"] != "guest-panicked":
                if time.monotonic() > deadline:
                    raise HypervisorError(f"'{name}' does not crash", hint="See query-status.")
                time.sleep(0.02)


class Monitor:
    """One connection to the spare monitor of a QEMU."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rw", encoding="utf-8")
        self._file.readline()  # the greeting
        self.ask("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, command: str, **arguments: Any) -> Any:
        """What a command returns. Raises HypervisorError."""
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        while line := self._file.readline():
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise HypervisorError(f"{command}: {answer['error']['desc']}")
        raise HypervisorError(f"{command}: QEMU ended")

    def people(self, command: str) -> None:
        """A command for people, which says nothing when all is well."""
        said = self.ask("human-monitor-command", **{"command-line": command})
        if said.strip():
            raise HypervisorError(f"{command}: {said.strip()}")


class Backend:
    """Finds what is in the folder, and in ``/proc``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def definition(self, name: str) -> tuple[Path, Mapping[str, Any]]:
        """Folder and definition of an instance. Raises KeyError."""
        for folder in self.root.glob("*/definition.json"):
            with suppress(FileNotFoundError):
                content = json.loads(folder.read_text())
                if content["name"] == name and not folder.parent.name.startswith("."):
                    return folder.parent, content
        raise KeyError(name)

    def processes(self) -> Iterator[tuple[int, list[str]]]:
        """Of QEMU with files in this folder: process id, command line."""
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with suppress(OSError):
                    text = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
                    words = text.split("\0")
                    if "qemu-system" in words[0] and f"{self.root}/" in _after(words, "-pidfile"):
                        yield int(entry), words

    def process(self, identity: str) -> list[str] | None:
        """Command line of the QEMU of an instance; None when none runs."""
        return next((w for _, w in self.processes() if _after(w, "-uuid") == identity), None)

    def monitor(self, name: str) -> Monitor:
        folder, _ = self.definition(name)
        return Monitor(folder / "run/spare")

    def runs(self, name: str) -> bool:
        _, found = self.definition(name)
        return self.process(str(found["id"])) is not None


class QmpObserver:
    """Looks at processes, their spare monitors, and files."""

    def __init__(self, backend: Backend, folder: Path) -> None:
        self._backend = backend
        self._folder = folder

    def look(self, name: str) -> Observation | None:
        try:
            _, found = self._backend.definition(name)
        except KeyError:
            return None
        disks = {disk["name"]: _image_size(disk["path"]) for disk in found["disks"]}
        if self._backend.process(found["id"]) is not None:
            with suppress(OSError, HypervisorError, ValueError):  # it ended just now
                return self._running(name, found["id"])
        return Observation(
            id=found["id"],
            state=InstanceState.STOPPED,
            vcpus=found["vcpus"] + len(found["processors"]),
            memory=found["memory"] + sum(found["modules"]),
            disks=disks,
            nics=tuple(nic["mac"] for nic in found["nics"]),
        )

    def _running(self, name: str, identity: str) -> Observation:
        with self._backend.monitor(name) as monitor:
            memory = monitor.ask("query-memory-size-summary")
            status = monitor.ask("query-status")["status"]
            return Observation(
                id=monitor.ask("query-uuid")["UUID"] if identity else "",
                state=_STATES.get(status, InstanceState.PAUSED),
                vcpus=len(monitor.ask("query-cpus-fast")),
                memory=memory["base-memory"] + memory.get("plugged-memory", 0),
                disks={
                    disk: image["virtual-size"] for disk, image in _live_images(monitor).items()
                },
                nics=tuple(_live_macs(monitor)),
            )

    def resources(self) -> frozenset[str]:
        found = {f"process {_after(words, '-uuid')}" for _, words in self._backend.processes()}
        for folder in (self._backend.root, self._folder):
            for path in paths_under(folder):
                if path.name not in _OWN and not path.name.startswith("."):
                    found.add(f"file {path}")
        return frozenset(found)


class QmpGuest:
    """Reads and writes through QEMU while it has the disk open, else with ``qemu-io``."""

    disk = "vda"

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def write(self, name: str, offset: int, data: bytes) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self._do(name, f"write -s {file.name} {offset} {len(data)}")

    def zero(self, name: str, offset: int, length: int) -> None:
        self._do(name, f"write -z {offset} {length}")

    def read(self, name: str, offset: int, length: int) -> bytes:
        if self._backend.runs(name):
            self._do(name, "flush")
            with self._backend.monitor(name) as monitor:
                image = _live_images(monitor)[self.disk]
                path, format = _path(image["filename"]), image["format"]
        else:
            path, format = self._file(name)
        first = offset // _SECTOR
        count = -(-(offset + length) // _SECTOR) - first
        with tempfile.NamedTemporaryFile() as file:
            command = ["qemu-img", "dd", "-U", "-f", format, "-O", "raw", f"bs={_SECTOR}"]
            # `count` is where to stop, not how much to copy (QEMU 7.2).
            command += [f"skip={first}", f"count={first + count}", f"if={path}", f"of={file.name}"]
            _run(*command)
            return Path(file.name).read_bytes()[offset - first * _SECTOR :][:length]

    def _do(self, name: str, command: str) -> None:
        if self._backend.runs(name):
            with self._backend.monitor(name) as monitor:
                device = f"/machine/peripheral/{self.disk}/virtio-backend"
                monitor.people(f'qemu-io -d {device} "{command}"')
                monitor.people(f'qemu-io -d {device} "flush"')
        else:
            path, format = self._file(name)
            _run("qemu-io", "-f", format, "-c", command, path)

    def _file(self, name: str) -> tuple[str, str]:
        """Path and format of the disk of a stopped instance."""
        _, found = self._backend.definition(name)
        disk = next(disk for disk in found["disks"] if disk["name"] == self.disk)
        return disk["path"], disk["format"]


def _after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1] if option in words[:-1] else ""


def _live_images(monitor: Monitor) -> Mapping[str, Mapping[str, Any]]:
    """Disk → its image as QEMU has it open."""
    found = {}
    for entry in monitor.ask("query-block"):
        device = re.match(r"/machine/peripheral/(\w+)", entry.get("qdev", ""))
        if device and "inserted" in entry:
            found[device[1]] = entry["inserted"]["image"]
    return found


def _live_macs(monitor: Monitor) -> Iterator[str]:
    for entry in monitor.ask("qom-list", path="/machine/peripheral"):
        if entry["name"].startswith("nic-"):
            path = f"/machine/peripheral/{entry['name']}"
            yield str(monitor.ask("qom-get", path=path, property="mac")).lower()


def _path(filename: str) -> str:
    """A file that QEMU names; where it was given options it names them all, as JSON."""
    if not filename.startswith("json:"):
        return filename
    node = json.loads(filename.removeprefix("json:"))
    while "filename" not in node:
        node = node["file"]
    return str(node["filename"])


def _image_size(path: str) -> int:
    return int(json.loads(_run("qemu-img", "info", "-U", "--output=json", path))["virtual-size"])


def _run(*command: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0 and "lock" in done.stderr:
        raise InvalidState(
            f"a disk is in use and cannot be written: {done.stderr.strip()}",
            hint="QEMU's locks keep others from writing while it is read.",
        )
    if done.returncode != 0:
        raise HypervisorError(
            f"{command[0]} failed: {done.stderr.strip()}", hint="Is the image whole?"
        )
    return done.stdout
