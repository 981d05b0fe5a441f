"""Change processors and memory of a container, now and in its spec for its next start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Never

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from hypersdk.drivers.containerd import labels
from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import (
    Container,
    UpdateContainerRequest,
)
from hypersdk.drivers.containerd.api.services.tasks.v1.tasks_pb2 import UpdateTaskRequest
from hypersdk.drivers.containerd.api.types.task import task_pb2
from hypersdk.drivers.containerd.connection import Connection, undisturbed
from hypersdk.drivers.containerd.errors import complaint, native
from hypersdk.drivers.containerd.inventory import observed
from hypersdk.drivers.containerd.lifecycle import MEMORY_MIN
from hypersdk.drivers.containerd.spec import (
    PERIOD,
    RESOURCES_TYPE,
    SPEC_TYPE,
    facts,
    packed,
    quota,
    unpacked,
)
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import InvalidInput, LimitExceeded, NotSupported
from hypersdk.model.instances import Disk
from hypersdk.model.specs import DiskSpec, NicSpec

_WITH_CGROUP = frozenset({task_pb2.CREATED, task_pb2.RUNNING, task_pb2.PAUSED, task_pb2.PAUSING})
_DISK = Limit("hotplug.disk", "containers have no disks")
_NIC = Limit("hotplug.nic", "containerd makes no networks")
_MEDIA = Limit("hotplug.media", "containers have no CD drives")


class ContainerdHotplug:
    """May be used by any number of threads."""

    limits = (_DISK, _NIC, _MEDIA)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        #: containerd replaces a spec as a whole: of two changes at once one would be lost.
        self._changing = threading.Lock()

    def set_vcpus(self, name: str, count: int) -> None:
        """A limit of processor time of its own (``cpu_limit`` of its spec) stays as it is."""
        if count < 1:
            raise InvalidInput(f"'{name}' needs at least one processor", hint="Give it one.")

        def change(spec: dict[str, Any]) -> dict[str, Any]:
            notes = spec.setdefault("annotations", {})
            notes[labels.VCPUS] = str(count)
            if labels.CPU_LIMIT in notes:
                return {}
            cpu = _resources(spec).setdefault("cpu", {})
            cpu |= {"period": PERIOD, "quota": quota(count)}
            return {"cpu": {"period": PERIOD, "quota": cpu["quota"]}}

        with self._changing:
            container, process = observed(self._connection, name)
            maximum = facts(container.spec.value).vcpus_maximum
            if count > maximum:
                raise LimitExceeded(
                    f"'{name}' has room for {maximum} processors, not for {count}",
                    hint="Make it anew with more vcpus_maximum.",
                )
            self._change(container, process, change, f"give '{name}' {count} processors")

    def set_memory(self, name: str, size: int) -> None:
        if size < MEMORY_MIN:
            raise InvalidInput(f"'{name}' needs at least 6 MiB of memory", hint="Give it more.")

        def change(spec: dict[str, Any]) -> dict[str, Any]:
            _resources(spec).setdefault("memory", {})["limit"] = size
            return {"memory": {"limit": size}}

        with self._changing:
            container, process = observed(self._connection, name)
            maximum = facts(container.spec.value).memory_maximum
            if size > maximum:
                raise LimitExceeded(
                    f"'{name}' has room for {maximum} bytes of memory, not for {size}",
                    hint="Make it anew with more memory_maximum.",
                )
            self._change(container, process, change, f"give '{name}' {size} bytes of memory")

    def attach_disk(self, name: str, disk: DiskSpec) -> Disk:  # noqa: ARG002
        _lacking(_DISK, name)

    def detach_disk(self, name: str, disk: str) -> None:  # noqa: ARG002
        _lacking(_DISK, name)

    def attach_nic(self, name: str, nic: NicSpec) -> str:  # noqa: ARG002
        _lacking(_NIC, name)

    def detach_nic(self, name: str, mac: str) -> None:  # noqa: ARG002
        _lacking(_NIC, name)

    def insert_media(self, name: str, image: str, drive: str | None = None) -> str:  # noqa: ARG002
        _lacking(_MEDIA, name)

    def eject_media(self, name: str, drive: str | None = None) -> None:  # noqa: ARG002
        _lacking(_MEDIA, name)

    def _change(
        self,
        container: Container,
        process: task_pb2.Process | None,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        doing: str,
    ) -> None:
        """First the spec, then what runs; when that is refused, the spec as it was."""
        spec = unpacked(container.spec.value)
        resources = change(spec)
        with native(doing):
            self._write(Container(id=container.id, spec=packed(SPEC_TYPE, spec)))
            if not resources or process is None or process.status not in _WITH_CGROUP:
                return
            try:
                self._connection.change(
                    "tasks.Update",
                    UpdateTaskRequest(
                        container_id=container.id, resources=packed(RESOURCES_TYPE, resources)
                    ),
                    timeout=60,
                )
            except BaseException as error:
                with undisturbed():
                    self._write(Container(id=container.id, spec=container.spec))
                if isinstance(error, grpc.RpcError) and _uses_more(error):
                    raise LimitExceeded(
                        f"cannot {doing}: it uses more than that", hint="Take away less."
                    ) from error
                raise

    def _write(self, container: Container) -> None:
        self._connection.change(
            "containers.Update",
            UpdateContainerRequest(container=container, update_mask=FieldMask(paths=["spec"])),
            timeout=30,
        )


def _uses_more(error: grpc.RpcError) -> bool:
    """The kernel's word, or runc's for it."""
    words = complaint(error)
    return "unable to set memory limit" in words or "busy" in words


def _resources(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = spec.setdefault("linux", {}).setdefault("resources", {})
    return found


def _lacking(limit: Limit, name: str) -> Never:
    raise NotSupported(
        f"the devices of '{name}' cannot be changed: {limit.note}",
        hint="Make it anew with the mounts it needs.",
    )
