"""Which containers there are: two calls, however many there are."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import (
    Container,
    GetContainerRequest,
    ListContainersRequest,
)
from hypersdk.drivers.containerd.api.services.tasks.v1.tasks_pb2 import (
    GetRequest,
    ListTasksRequest,
)
from hypersdk.drivers.containerd.api.types.task.task_pb2 import Process
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.errors import is_missing, native
from hypersdk.drivers.containerd.translate import Translator
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import Instance

_CONTAINERS, _TASKS = ListContainersRequest(), ListTasksRequest()


class ContainerdInventory:
    """Asks containerd each time. May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._translator = Translator()

    def instances(self) -> Iterator[Instance]:
        """All containers of the namespace, by name, also those that others made."""
        with native(f"list the containers of {self._connection}"):
            # Containers first: a task whose container came later would have none.
            containers = self._connection.read("containers.List", _CONTAINERS).containers
            tasks = self._connection.read("tasks.List", _TASKS).tasks
        processes = {task.id: task for task in tasks}
        record = self._translator.instance
        found = [record(one, processes.get(one.id)) for one in containers]
        found.sort(key=lambda instance: instance.name)
        return iter(found)

    def instance(self, name: str) -> Instance:
        container, process = observed(self._connection, name)
        return self._translator.instance(container, process)


def observed(connection: Connection, name: str) -> tuple[Container, Process | None]:
    """A container and its task. Raises InstanceNotFound."""
    container = container_of(connection, name)
    with native(f"look at '{name}'"):
        return container, process_of(connection, name)


def container_of(connection: Connection, name: str) -> Container:
    """Raises InstanceNotFound."""
    try:
        found: Container = connection.read("containers.Get", GetContainerRequest(id=name)).container
    except grpc.RpcError as error:
        if is_missing(error) or not name:
            raise InstanceNotFound(
                f"there is no container '{name}' in {connection}",
                hint="List the instances; names are unique within a namespace only.",
            ) from error
        with native(f"look for '{name}'"):
            raise
    return found


def process_of(connection: Connection, name: str) -> Process | None:
    """None when it has no task. Raises grpc.RpcError."""
    try:
        found: Process = connection.read("tasks.Get", GetRequest(container_id=name)).process
    except grpc.RpcError as error:
        if is_missing(error):
            return None
        raise
    return found
