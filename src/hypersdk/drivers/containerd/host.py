"""The machine that containerd runs on, which is ours: its socket reaches no other."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from google.protobuf.empty_pb2 import Empty

from hypersdk.drivers.containerd.api.services.introspection.v1.introspection_pb2 import (
    PluginsRequest,
)
from hypersdk.drivers.containerd.api.services.tasks.v1.tasks_pb2 import ListTasksRequest
from hypersdk.drivers.containerd.api.types.task import task_pb2
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.errors import native
from hypersdk.model.errors import HypervisorUnreachable, MissingRequirement, NotFound, NotSupported
from hypersdk.model.hosts import HostInfo
from hypersdk.model.units import KIB

#: The oldest containerd whose interface is the one we speak.
OLDEST = (1, 6)
#: In the order in which they are taken when nobody asks for one: copy-on-write first.
_PREFERRED = ("overlayfs", "native")
_SNAPSHOTTER = "io.containerd.snapshotter.v1"
_ACTIVE = frozenset({task_pb2.RUNNING, task_pb2.PAUSED, task_pb2.PAUSING})


@dataclass(frozen=True, slots=True)
class Engine:
    """What was found on connecting."""

    version: str
    #: Name of the snapshotter for new containers, and the folder where it keeps them.
    snapshotter: str
    folder: str


def engine(connection: Connection, wanted: str = "") -> Engine:
    """Raises MissingRequirement for one that is too old or cannot keep containers, NotFound for a
    snapshotter that it does not have."""
    version = read_version(connection)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        raise MissingRequirement(
            f"{connection} is containerd {version}",
            hint=f"At least {'.'.join(map(str, OLDEST))} is needed; upgrade it.",
        )
    with native(f"ask {connection} for its snapshotters"):
        answer = connection.read("introspection.Plugins", PluginsRequest())
    working = [plugin for plugin in answer.plugins if not plugin.init_err]
    content = next((one.exports.get("root", "") for one in working if one.id == "content"), "")
    folders = {
        plugin.id: plugin.exports.get("root") or content
        for plugin in working
        if plugin.type == _SNAPSHOTTER
    }
    if wanted and wanted not in folders:
        raise NotFound(
            f"{connection} has no snapshotter '{wanted}'",
            hint=f"It has {', '.join(sorted(folders)) or 'none'}.",
        )
    for name in (wanted,) if wanted else (*_PREFERRED, *sorted(folders)):
        if name in folders:
            return Engine(version, name, folders[name])
    raise MissingRequirement(
        f"{connection} has no snapshotter that works", hint="See: ctr plugins ls"
    )


def read_version(connection: Connection) -> str:
    """Raises HypervisorUnreachable when something else listens there."""
    try:
        with native(f"connect to {connection}"):
            return str(connection.read("version.Version", Empty()).version)
    except NotSupported as error:
        raise HypervisorUnreachable(
            f"what listens on {connection.address.socket} is not containerd",
            hint="Give the path of its gRPC socket: containerd config dump",
        ) from error


class ContainerdHost:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection, folder: str) -> None:
        """``folder``: where containers are kept."""
        self._connection = connection
        self._folder = folder

    def info(self) -> HostInfo:
        """Instances are counted in the namespace of the URL."""
        version = read_version(self._connection)
        with native(f"describe the host of {self._connection}"):
            tasks = self._connection.read("tasks.List", ListTasksRequest()).tasks
        memory = _memory()
        system = os.uname()
        vcpus = os.cpu_count() or 1
        return HostInfo(
            name=system.nodename,
            product="containerd",
            version=version,
            architecture=system.machine,
            vcpus=vcpus,
            memory=memory["MemTotal"],
            memory_available=memory["MemAvailable"],
            storage_available=_free(self._folder),
            active_instances=sum(task.status in _ACTIVE for task in tasks),
            maximum_vcpus=vcpus,
            maximum_memory=memory["MemTotal"],
        )


def _memory() -> dict[str, int]:
    """Of ``/proc/meminfo``, in bytes."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        pairs = (line.split(":") for line in lines)
        return {name: int(rest.split()[0]) * KIB for name, rest in pairs}


def _free(folder: str) -> int | None:
    """Bytes; None when it is not for us to see."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize
