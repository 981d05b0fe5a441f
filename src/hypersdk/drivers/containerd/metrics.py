"""What containers use: the counters of their cgroups, in one call for all."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from google.protobuf.any_pb2 import Any as Packed

from hypersdk.drivers.containerd import translate
from hypersdk.drivers.containerd.api.cgroup1.stats import metrics_pb2 as first
from hypersdk.drivers.containerd.api.cgroup2.stats import metrics_pb2 as second
from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import (
    Container,
    ListContainersRequest,
)
from hypersdk.drivers.containerd.api.services.tasks.v1.tasks_pb2 import (
    ListTasksRequest,
    MetricsRequest,
)
from hypersdk.drivers.containerd.api.types.task.task_pb2 import Process
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.errors import native
from hypersdk.drivers.containerd.inventory import observed
from hypersdk.drivers.containerd.spec import facts
from hypersdk.model.capabilities import Limit
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import InstanceMetrics

_WITHOUT_COUNTERS = frozenset({InstanceState.STOPPED, InstanceState.UNKNOWN})
_FIRST, _SECOND = "io.containerd.cgroups.v1.Metrics", "io.containerd.cgroups.v2.Metrics"


class ContainerdMetrics:
    """May be used by any number of threads."""

    limits = (
        Limit("metrics.disk", "containers have no disks; what they write goes to the host's"),
        Limit("metrics.nic", "containerd makes no networks: there is only a loopback"),
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def metrics(self, names: Collection[str] | None = None) -> Sequence[InstanceMetrics]:
        """By name. Three calls; for named ones two for each, and one for the counters."""
        if names is None:
            with native(f"list the containers of {self._connection}"):
                listed = self._connection.read("containers.List", ListContainersRequest())
                tasks = self._connection.read("tasks.List", ListTasksRequest()).tasks
            processes = {task.id: task for task in tasks}
            pairs = [(one, processes.get(one.id)) for one in listed.containers]
        else:
            pairs = [observed(self._connection, name) for name in sorted(set(names))]
        if not pairs:
            return []
        with native("read what instances use"):
            filters = None if names is None else [f'id=="{one.id}"' for one, _ in pairs]
            answer = self._connection.read("tasks.Metrics", MetricsRequest(filters=filters))
        counters = {metric.id: metric.data for metric in answer.metrics}
        found = [_metrics(one, process, counters.get(one.id)) for one, process in pairs]
        return sorted(found, key=lambda metrics: metrics.name)


def _metrics(
    container: Container, process: Process | None, counters: Packed | None
) -> InstanceMetrics:
    state = translate.state(process, container)
    size = facts(container.spec.value)
    running = state not in _WITHOUT_COUNTERS and counters is not None
    cpu, memory = _usage(counters) if running and counters is not None else (0, 0)
    return InstanceMetrics(
        name=container.id,
        state=state,
        cpu_nanoseconds=cpu,
        vcpus=size.vcpus,
        memory=size.memory,
        memory_maximum=size.memory_maximum,
        memory_resident=memory,
    )


def _usage(counters: Packed) -> tuple[int, int]:
    """Nanoseconds of processor time, bytes of memory; zeroes from a runtime that counts neither."""
    kind = counters.type_url.rpartition("/")[2]
    if kind == _FIRST:
        old = first.Metrics.FromString(counters.value)
        return old.cpu.usage.total, old.memory.usage.usage
    if kind == _SECOND:
        new = second.Metrics.FromString(counters.value)
        return new.cpu.usage_usec * 1000, new.memory.usage
    return 0, 0
