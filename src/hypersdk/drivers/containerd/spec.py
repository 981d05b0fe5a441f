"""The runtime spec of a container: what runc is told (OCI runtime spec, config.md)."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.any_pb2 import Any as Packed

from hypersdk.drivers.containerd import labels
from hypersdk.drivers.containerd.manifests import Manifest
from hypersdk.drivers.containerd.users import User
from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import InstanceSpec

SPEC_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process"
RESOURCES_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
#: Microseconds in which a quota of processor time holds; the kernel's own default.
PERIOD = 100_000
#: ``cpu.weight`` that everybody has, and the same in ``cpu.shares`` of cgroups' first version.
_WEIGHT, _SHARES = 100, 1024
_HOSTNAME_MAX = 64
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: What first processes may do as root within: enough to change users and files, nothing that
#: reaches the host. The same that Docker gives.
_CAPABILITIES = [
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
    "CAP_SETUID", "CAP_SYS_CHROOT",
]  # fmt: skip
_MASKED = [
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
]  # fmt: skip
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
_TIGHT = ["nosuid", "noexec", "nodev"]
_MOUNTS = (
    ("/proc", "proc", "proc", _TIGHT),
    ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("/dev/pts", "devpts", "devpts",
     ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    ("/dev/shm", "tmpfs", "shm", [*_TIGHT, "mode=1777", "size=65536k"]),  # noqa: S108 - inside
    ("/dev/mqueue", "mqueue", "mqueue", _TIGHT),
    ("/sys", "sysfs", "sysfs", [*_TIGHT, "ro"]),
    ("/run", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
)  # fmt: skip
_NAMESPACES = ("pid", "ipc", "uts", "mount", "network")


@dataclass(frozen=True, slots=True)
class Mounted:
    """A folder of the host inside."""

    source: str
    target: str
    read_only: bool


def runtime_spec(
    spec: InstanceSpec, manifest: Manifest, user: User, mounts: Sequence[Mounted], cgroup: str
) -> dict[str, Any]:
    """``cgroup``: path of the container's own. Raises InvalidInput when nothing says what to run.

    It has a network of its own with nothing but a loopback; its root may do within what Docker
    allows; programs cannot get more rights than they were started with.
    """
    notes = {
        labels.VCPUS: str(spec.vcpus),
        labels.VCPUS_MAXIMUM: str(spec.vcpus_maximum or spec.vcpus),
        labels.MEMORY_MAXIMUM: str(spec.memory_maximum or spec.memory),
    }
    if spec.cpu_limit:
        notes[labels.CPU_LIMIT] = str(spec.cpu_limit)
    namespaces = [{"type": name} for name in _NAMESPACES]
    if unified():
        namespaces.append({"type": "cgroup"})
    return {
        "ociVersion": "1.0.2",
        "process": _process(spec, manifest, user),
        "root": {"path": "rootfs"},
        "hostname": spec.name[:_HOSTNAME_MAX],
        "mounts": [*_own_mounts(), *map(_bind, mounts)],
        "annotations": notes,
        "linux": {
            "resources": {
                "devices": [{"allow": False, "access": "rwm"}],
                "cpu": _cpu(spec),
                "memory": {"limit": spec.memory},
                **({"pids": {"limit": spec.pids_limit}} if spec.pids_limit else {}),
                **_weight(spec.cpu_weight),
            },
            "cgroupsPath": cgroup,
            "namespaces": namespaces,
            "maskedPaths": _MASKED,
            "readonlyPaths": _READ_ONLY,
        },
    }


def _process(spec: InstanceSpec, manifest: Manifest, user: User) -> dict[str, Any]:
    settings = manifest.settings
    arguments = [*(settings.get("Entrypoint") or ()), *(spec.command or settings.get("Cmd") or ())]
    if not arguments:
        raise InvalidInput(
            f"neither '{spec.name}' nor its image says what to run", hint="Give it a command."
        )
    return {
        "terminal": False,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": arguments,
        "env": environment(settings.get("Env") or (_PATH,), spec.env),
        "cwd": settings.get("WorkingDir") or "/",
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES),
        "noNewPrivileges": True,
    }


def environment(given: Sequence[str], more: Mapping[str, str]) -> list[str]:
    """``NAME=value`` lines; a variable of ``more`` replaces the one that was there."""
    variables = dict(line.partition("=")[::2] for line in given)
    return [f"{name}={value}" for name, value in (variables | dict(more)).items()]


def _own_mounts() -> list[dict[str, Any]]:
    return [
        {"destination": target, "type": kind, "source": source, "options": options}
        for target, kind, source, options in _MOUNTS
    ]


def _bind(mount: Mounted) -> dict[str, Any]:
    options = ["rbind", "rprivate", "ro" if mount.read_only else "rw"]
    return {
        "destination": mount.target,
        "type": "bind",
        "source": mount.source,
        "options": options,
    }


def _cpu(spec: InstanceSpec) -> dict[str, int]:
    cpu = {"period": PERIOD, "quota": quota(spec.cpu_limit or spec.vcpus)}
    if spec.cpu_weight and not unified():
        cpu["shares"] = max(2, round(spec.cpu_weight * _SHARES / _WEIGHT))
    return cpu


def _weight(weight: int) -> dict[str, Any]:
    """Given as shares, runc would make another weight of it."""
    return {"unified": {"cpu.weight": str(weight)}} if weight and unified() else {}


def quota(processors: float) -> int:
    """Microseconds per period; the kernel allows no less than a millisecond."""
    return max(1000, round(processors * PERIOD))


@functools.cache
def unified() -> bool:
    """Whether the host has the second version of cgroups."""
    return os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def packed(kind: str, document: Mapping[str, Any]) -> Packed:
    """JSON as containerd wants it."""
    return Packed(type_url=kind, value=json.dumps(document, separators=(",", ":")).encode())


def unpacked(value: bytes) -> dict[str, Any]:
    """Empty for what is no JSON: containers of other runtimes."""
    try:
        found = json.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a spec says of the size of an instance."""

    vcpus: int
    vcpus_maximum: int
    #: Bytes.
    memory: int
    memory_maximum: int


def facts(value: bytes) -> Facts:
    """Of a serialised spec. Without limits an instance may use what the host has."""
    host = _host()
    spec = unpacked(value)
    try:
        return _facts(spec, host)
    except (KeyError, TypeError, ValueError, AttributeError):
        return host  # somebody else's, of another form


def _facts(spec: Mapping[str, Any], host: Facts) -> Facts:
    notes = spec.get("annotations") or {}
    resources = (spec.get("linux") or {}).get("resources") or {}
    cpu, memory = resources.get("cpu") or {}, resources.get("memory") or {}
    vcpus = int(notes.get(labels.VCPUS, 0))
    if not vcpus and cpu.get("quota", 0) > 0:
        vcpus = math.ceil(cpu["quota"] / (cpu.get("period") or PERIOD))
    size = memory.get("limit") or 0
    found = replace(host, vcpus=vcpus or host.vcpus, memory=size if size > 0 else host.memory)
    return replace(
        found,
        vcpus_maximum=int(notes.get(labels.VCPUS_MAXIMUM, found.vcpus)),
        memory_maximum=int(notes.get(labels.MEMORY_MAXIMUM, found.memory)),
    )


@functools.cache
def _host() -> Facts:
    vcpus = os.cpu_count() or 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Facts(vcpus, vcpus, memory, memory)
