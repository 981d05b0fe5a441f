"""KVM through libvirt: what the kit makes there, and how it looks at it past the driver.

Domains are seen with ``virsh``, control groups and processes in ``/proc``, disks with ``qemu-img``
and, while QEMU has them open, through QEMU's own monitor. All of that takes root on the host.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

from hypersdk.conformance.target import Expectations, Observation, Site
from hypersdk.conformance.targets.walking import paths_under
from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.registry import connect
from hypersdk.model.errors import HypervisorError, InvalidInput, InvalidState, MissingRequirement
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from hypersdk.model.units import KIB, MIB

_MEMORY = 128 * MIB
_DISK = 64 * MIB
#: Until the system of the site obeys its power button: it boots in software.
_BOOT_SECONDS = 6.0
#: A program that looks into the backend and takes longer has failed.
_SECONDS = 60.0
_CRASH_SECONDS = 20.0
_SECTOR = 512

_STATES = {
    "running": InstanceState.RUNNING,
    "idle": InstanceState.RUNNING,
    "in shutdown": InstanceState.RUNNING,
    "paused": InstanceState.PAUSED,
    "pmsuspended": InstanceState.PAUSED,
    "shut off": InstanceState.STOPPED,
    "crashed": InstanceState.CRASHED,
}
#: What everybody has in ``cpu.shares`` of cgroups v1, where ``cpu.weight`` of v2 has 100.
_USUAL_SHARES = 1024


def target(url: str, site: Site) -> LibvirtTarget:
    """Raises InvalidInput for other drivers inside libvirt, MissingRequirement."""
    if not url.startswith("libvirt+qemu"):
        raise InvalidInput(
            f"{url} cannot be tested: the kit needs domains of QEMU",
            hint="Name one like libvirt+qemu:///system",
        )
    for program in ("virsh", "qemu-img", "qemu-io"):
        if shutil.which(program) is None:
            raise MissingRequirement(
                f"'{program}' is not installed", hint="apt install libvirt-clients qemu-utils"
            )
    return LibvirtTarget(url, site)


class LibvirtTarget:
    """A libvirtd with QEMU on this host."""

    def __init__(self, url: str, site: Site) -> None:
        self.url = url
        self._site = site
        self._own_folder = not site.folder
        self._folder = Path(site.folder or tempfile.mkdtemp(prefix="hypersdk-kit-"))
        if self._own_folder:
            self._folder.chmod(0o777)  # QEMU runs as a user of its own
        virsh = Virsh(url.partition("+")[2])
        self._virsh = virsh
        self._network = _network(virsh)
        self.observer = LibvirtObserver(virsh, self._folder)
        self.guest = LibvirtGuest(virsh, self._folder)
        self.expectations = Expectations(
            obeys_stop=bool(site.kernel), boot=_BOOT_SECONDS if site.kernel else 0.0
        )
        self._connecting = threading.Lock()
        #: Connection → its sockets, and under None those that are of no concern.
        self._sockets: dict[int | None, frozenset[tuple[int, int]]] = {None: _open_sockets()}

    def connect(self) -> Hypervisor:
        with self._connecting:
            before = _open_sockets()
            hypervisor = connect(self.url)
            self._sockets[id(hypervisor)] = _open_sockets() - before
        return hypervisor

    def spec(self, name: str) -> InstanceSpec:
        return InstanceSpec(
            name=name,
            memory=_MEMORY,
            disks=(DiskSpec(name="vda", size=_DISK, path=str(self._folder / f"{name}.qcow2")),),
            acceleration=self._site.acceleration or "tcg",
            kernel=self._site.kernel,
            initrd=self._site.initrd,
            kernel_arguments=self._site.kernel_arguments,
        )

    def disk(self, name: str) -> DiskSpec:
        """A file of its own for each: the kit keeps what it detaches."""
        file = f"{name}-{secrets.token_hex(4)}.qcow2"
        return DiskSpec(size=MIB, path=str(self._folder / file))

    def disconnect(self, hypervisor: Hypervisor) -> bool:
        """Shut its socket down; the daemon and whoever connects anew see nothing of that."""
        with self._connecting:
            there = _open_sockets()
            mine = self._sockets.pop(id(hypervisor), frozenset()) & there
            if not mine:  # it has connected anew since
                mine = there.difference(*self._sockets.values())
        for descriptor, _ in mine:
            with socket.socket(fileno=os.dup(descriptor)) as shared:
                shared.shutdown(socket.SHUT_RDWR)
        return bool(mine)

    def close(self) -> None:
        if self._network:
            self._virsh.ask("net-destroy", self._network)
        if self._own_folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    # What only some targets can do.

    def nic(self) -> NicSpec:
        return NicSpec(network=self._network)

    def stubborn(self, name: str) -> InstanceSpec:
        """Firmware that finds no system knows no power button."""
        spec = self.spec(name)
        return InstanceSpec(
            name=name, memory=spec.memory, disks=spec.disks, acceleration=spec.acceleration
        )

    def make_foreign(self, name: str) -> None:
        root = Element("domain", type="qemu")
        SubElement(root, "name").text = name
        SubElement(root, "memory", unit="MiB").text = "64"
        SubElement(SubElement(root, "os"), "type").text = "hvm"
        self._define(root)

    def remove(self, name: str) -> None:
        files = [path for path, _ in self._virsh.disks(name).values()]
        kept = ("--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram")
        self._virsh.run("undefine", name, *kept)
        for file in files:
            Path(file).unlink(missing_ok=True)

    def crash(self, name: str) -> None:
        """A device that tells of panics is only found at a start, so it is started once more."""
        self._virsh.run("destroy", name)
        root = self._virsh.domain(name)
        if root is None:
            raise HypervisorError(f"'{name}' is gone", hint="It was there a moment ago.")
        for old in root.findall("on_crash"):
            root.remove(old)
        SubElement(root, "on_crash").text = "preserve"
        devices = root.find("devices")
        if devices is not None and devices.find("panic") is None:
            SubElement(devices, "panic", model="isa")
        self._define(root)
        self._virsh.run("start", name)
        # What the guest's kernel would do: tell the device.
        self._virsh.monitor(name, "o /b 0x505 1")
        deadline = time.monotonic() + _CRASH_SECONDS
        while self._virsh.state(name) is not InstanceState.CRASHED:
            if time.monotonic() > deadline:
                raise HypervisorError(f"'{name}' does not crash", hint="See virsh domstate.")
            time.sleep(0.05)

    def _define(self, root: Element) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(tostring(root, encoding="unicode"))
            file.flush()
            self._virsh.run("define", file.name)


def _network(virsh: Virsh) -> str:
    """One without an address, which leads nowhere: libvirt counts nothing of NICs without one.
    Empty where none can be made: then NICs are in user mode."""
    name = f"kit{secrets.token_hex(4)}"
    root = Element("network")
    SubElement(root, "name").text = name
    SubElement(root, "bridge", name=name)
    SubElement(root, "dns", enable="no")
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(tostring(root, encoding="unicode"))
        file.flush()
        return name if virsh.ask("net-create", file.name).returncode == 0 else ""


class Virsh:
    """libvirt's own command."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def run(self, *arguments: str) -> str:
        """Raises HypervisorError with what it says."""
        done = self.ask(*arguments)
        if done.returncode != 0:
            raise HypervisorError(
                f"virsh {arguments[0]} failed: {done.stderr.strip()}", hint="See virsh yourself."
            )
        return done.stdout

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ("virsh", "--quiet", "--connect", self._uri, *arguments)
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=_SECONDS
        )

    def names(self, listing: str) -> list[str]:
        """Of everything in ``list``, ``pool-list``, ``net-list``."""
        return [name for name in self.run(listing, "--all", "--name").splitlines() if name.strip()]

    def domain(self, name: str) -> Element | None:
        """Its XML as it runs, or is defined; None when it is not there."""
        if not name or name.startswith("-") or not name.isprintable():
            return None
        done = self.ask("dumpxml", name)
        if done.returncode == 0:
            return fromstring(done.stdout)  # noqa: S314 - libvirt's own
        if "failed to get domain" in done.stderr:
            return None
        raise HypervisorError(f"virsh dumpxml failed: {done.stderr}", hint="See virsh yourself.")

    def state(self, name: str) -> InstanceState:
        return _STATES.get(self.run("domstate", name).strip(), InstanceState.UNKNOWN)

    def disks(self, name: str) -> Mapping[str, tuple[str, str]]:
        """Disk → path and format, of those that are files or devices."""
        root = self.domain(name)
        return {} if root is None else _disks(root)

    def monitor(self, name: str, command: str) -> str:
        """A command for people."""
        return self.run("qemu-monitor-command", name, "--hmp", command)

    def query(self, name: str, command: str) -> object:
        """A command for programs; what it returns."""
        text = self.run("qemu-monitor-command", name, json.dumps({"execute": command}))
        return json.loads(text)["return"]


class LibvirtObserver:
    """Looks with virsh, and at what QEMU's processes and control groups show."""

    def __init__(self, virsh: Virsh, folder: Path) -> None:
        self._virsh = virsh
        self._folder = folder

    def look(self, name: str) -> Observation | None:
        root = self._virsh.domain(name)
        if root is None:
            return None
        state = self._virsh.state(name)
        vcpus, memory = self._running(name) if state is not InstanceState.STOPPED else _as_is(root)
        weight, limit = _shares(self._process(name))
        return Observation(
            id=root.findtext("uuid", ""),
            state=state,
            vcpus=vcpus,
            cpu_weight=weight,
            cpu_limit=limit,
            memory=memory,
            disks={disk: _size(path) for disk, (path, _) in _disks(root).items()},
            nics=tuple(mac.get("address", "") for mac in root.iterfind("devices/interface/mac")),
        )

    def resources(self) -> frozenset[str]:
        found = {
            f"{kind} {name}"
            for kind, listing in (
                ("domain", "list"),
                ("pool", "pool-list"),
                ("network", "net-list"),
            )
            for name in self._virsh.names(listing)
        }
        found.update(f"file {path}" for path in paths_under(self._folder))
        found.update(f"process {words[0]} of {name}" for words, name in self._processes().values())
        return frozenset(found)

    def _running(self, name: str) -> tuple[int, int]:
        """As QEMU itself says."""
        processors = self._virsh.query(name, "query-cpus-fast")
        balloon = self._virsh.query(name, "query-balloon")
        assert isinstance(processors, list)
        assert isinstance(balloon, dict)
        return len(processors), int(balloon["actual"])

    def _process(self, name: str) -> int | None:
        return next((pid for pid, (_, its) in self._processes().items() if its == name), None)

    def _processes(self) -> dict[int, tuple[list[str], str]]:
        """Process id → words and domain of all programs of QEMU that use our folder."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = os.fsdecode((entry / "cmdline").read_bytes()).split("\0")
            except OSError:  # it ended meanwhile
                continue
            if Path(words[0]).name.startswith("qemu-") and any(
                str(self._folder) in word for word in words
            ):
                named = [word for word in words if word.startswith("guest=")]
                name = named[0].removeprefix("guest=").rpartition(",debug-threads")[0]
                found[int(entry.name)] = (words, name.replace(",,", ",")) if named else (words, "")
        return found


class LibvirtGuest:
    """Writes through QEMU while it runs, through ``qemu-io`` while it does not."""

    disk = "vda"

    def __init__(self, virsh: Virsh, folder: Path) -> None:
        self._virsh = virsh
        self._folder = folder

    def write(self, name: str, offset: int, data: bytes) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            os.chmod(file.name, 0o644)  # for QEMU's own user
            self._do(name, f"write -s {file.name} {offset} {len(data)}", "flush")

    def zero(self, name: str, offset: int, length: int) -> None:
        self._do(name, f"write -z {offset} {length}", "flush")

    def read(self, name: str, offset: int, length: int) -> bytes:
        """From the image, after QEMU has written everything to it."""
        if self._runs(name):
            self._do(name, "flush")
        path, kind = self._image(name)
        first, last = offset // _SECTOR, -(-(offset + length) // _SECTOR)
        # In one piece of many sectors where that is possible.
        block = _SECTOR
        while not (first | last) % 2 and block < MIB and first != last:
            first, last, block = first // 2, last // 2, block * 2
        with tempfile.NamedTemporaryFile() as file:
            _checked(
                *("qemu-img", "dd", "-U", "-f", kind, "-O", "raw", f"bs={block}"),
                *(f"skip={first}", f"count={last}", f"if={path}", f"of={file.name}"),
            )
            content = Path(file.name).read_bytes()
        begin = offset - first * block
        return content[begin : begin + length]

    def _do(self, name: str, *commands: str) -> None:
        if self._runs(name):
            device = f"/machine/peripheral/{self._alias(name)}/virtio-backend"
            for command in commands:
                answer = self._virsh.monitor(name, f'qemu-io -d {device} "{command}"').strip()
                if answer:  # what went well is in QEMU's log
                    raise HypervisorError(f"{command}: {answer}", hint="See QEMU's log.")
            return
        path, kind = self._image(name)
        words = [word for command in commands for word in ("-c", command)]
        _checked("qemu-io", "-f", kind, *words, path)

    def _runs(self, name: str) -> bool:
        return self._virsh.state(name) is not InstanceState.STOPPED

    def _image(self, name: str) -> tuple[str, str]:
        return self._virsh.disks(name)[self.disk]

    def _alias(self, name: str) -> str:
        root = self._virsh.domain(name)
        for disk in () if root is None else root.iterfind("devices/disk"):
            alias = disk.find("alias")
            if disk.find(f"target[@dev='{self.disk}']") is not None and alias is not None:
                return alias.get("name", "")
        raise HypervisorError(f"'{name}' has no disk {self.disk}", hint="See virsh domblklist.")


def _checked(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if "lock" in done.stderr and done.returncode != 0:
        raise InvalidState(
            f"a disk is in use and cannot be written: {done.stderr.strip()}",
            hint="QEMU's locks keep others from writing while it is read.",
        )
    if done.returncode != 0 or "failed" in done.stdout:
        said = (done.stderr + done.stdout).strip()
        raise HypervisorError(f"{command[0]} failed: {said}", hint="Is the image whole?")
    return done.stdout


def _disks(root: Element) -> dict[str, tuple[str, str]]:
    found = {}
    for disk in root.iterfind("devices/disk"):
        source, name, driver = disk.find("source"), disk.find("target"), disk.find("driver")
        if disk.get("device", "disk") == "disk" and source is not None and name is not None:
            path = source.get("file") or source.get("dev") or ""
            kind = "raw" if driver is None else driver.get("type", "raw")
            found[name.get("dev", "")] = (path, kind)
    return found


def _as_is(root: Element) -> tuple[int, int]:
    """Processors and bytes of memory of a stopped domain."""
    vcpu = root.find("vcpu")
    vcpus = 0 if vcpu is None else int(vcpu.get("current") or vcpu.text or 0)
    return vcpus, int(root.findtext("currentMemory", "0")) * KIB  # libvirt writes KiB


def _size(path: str) -> int:
    said = _checked("qemu-img", "info", "-U", "--output=json", path)
    return int(json.loads(said)["virtual-size"])


def _shares(pid: int | None) -> tuple[int | None, float | None]:
    """Weight and limit of a process's control group; None where it has none of its own."""
    group = None if pid is None else _group(pid)
    if group is None:
        return None, None
    if (group / "cpu.weight").exists():
        weight = int((group / "cpu.weight").read_text())
        quota, period = (group / "cpu.max").read_text().split()
    else:
        weight = round(int((group / "cpu.shares").read_text()) * 100 / _USUAL_SHARES)
        quota = (group / "cpu.cfs_quota_us").read_text().strip()
        period = (group / "cpu.cfs_period_us").read_text().strip()
    unlimited = quota in {"max", "-1"}
    return weight, None if unlimited else int(quota) / int(period)


def _group(pid: int) -> Path | None:
    """The machine's group: libvirt puts QEMU's threads into groups below it."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for place in (controllers, "cpu") if "cpu" in controllers.split(",") else ("",):
            group = Path("/sys/fs/cgroup") / place / path.lstrip("/")
            if group.name == "emulator" and group.is_dir() and (place or not controllers):
                return group.parent
    return None


def _open_sockets() -> frozenset[tuple[int, int]]:
    """Descriptors of ours that are connected sockets, and their inodes."""
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(entry))
        except OSError:  # the one by which we look
            continue
        if stat.S_ISSOCK(status.st_mode):
            found.add((int(entry), status.st_ino))
    return frozenset(found)
