"""containerd's records as ours. Nothing here asks the hypervisor."""

from __future__ import annotations

from dataclasses import replace

from hypersdk.drivers.containerd import labels
from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import Container
from hypersdk.drivers.containerd.api.types.task import task_pb2
from hypersdk.drivers.containerd.spec import facts
from hypersdk.model.instances import Instance, InstanceState

#: Containers that are remembered.
_KNOWN_MAX = 20_000
_STATES = {
    task_pb2.RUNNING: InstanceState.RUNNING,
    task_pb2.PAUSED: InstanceState.PAUSED,
    # On its way there.
    task_pb2.PAUSING: InstanceState.PAUSED,
    # The process has ended and nobody has cleared it away yet.
    task_pb2.STOPPED: InstanceState.STOPPED,
}


def state(process: task_pb2.Process | None, container: Container) -> InstanceState:
    """Without a task it is stopped. A task that was made and not started yet is paused when it was
    made to wait; otherwise it is between stopped and running, and runs nothing yet."""
    if process is None:
        return InstanceState.STOPPED
    if process.status == task_pb2.CREATED:
        return InstanceState.PAUSED if labels.HALTED in container.labels else InstanceState.STOPPED
    return _STATES.get(process.status, InstanceState.UNKNOWN)


def instance(container: Container, process: task_pb2.Process | None) -> Instance:
    """A container and its task; its id is its name, which containerd keeps unique."""
    marks = dict(container.labels)
    size = facts(container.spec.value)
    return Instance(
        id=container.id,
        name=container.id,
        state=state(process, container),
        vcpus=size.vcpus,
        memory=size.memory,
        tags=labels.tags(marks),
        owned=labels.OWNED in marks,
        folder=marks.get(labels.FOLDER, ""),
        image=container.image,
    )


class Translator:
    """For whoever looks at the same containers over and over: only the state is read each time,
    the rest when containerd says that the container was updated. Safe in threads."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int, Instance]] = {}

    def instance(self, container: Container, process: task_pb2.Process | None) -> Instance:
        updated = container.updated_at
        seconds, nanos = updated.seconds, updated.nanos
        known = self._known.get(container.id)
        if known is None or known[0] != seconds or known[1] != nanos:
            found = instance(container, process)
        else:
            now = state(process, container)
            if known[2].state is now:
                return known[2]
            found = replace(known[2], state=now)
        if len(self._known) > _KNOWN_MAX:
            self._known.clear()  # of many that are gone by now
        self._known[container.id] = (seconds, nanos, found)
        return found
