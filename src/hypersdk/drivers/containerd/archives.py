"""The filesystem of a container as a tar archive. containerd makes it, with any snapshotter."""

from __future__ import annotations

import secrets
from typing import BinaryIO

from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import Container
from hypersdk.drivers.containerd.api.types.descriptor_pb2 import Descriptor
from hypersdk.drivers.containerd.api.types.task import task_pb2
from hypersdk.drivers.containerd.connection import Connection, undisturbed
from hypersdk.drivers.containerd.content import Content
from hypersdk.drivers.containerd.errors import native
from hypersdk.drivers.containerd.inventory import observed
from hypersdk.drivers.containerd.layers import Layers
from hypersdk.drivers.containerd.leases import lease
from hypersdk.drivers.containerd.tasks import Tasks

_WRITING = frozenset({task_pb2.RUNNING, task_pb2.PAUSING})


class ContainerdArchives:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection, content: Content, layers: Layers) -> None:
        self._connection = connection
        self._content = content
        self._layers = layers
        self._tasks = Tasks(connection)

    def export(self, name: str, target: BinaryIO) -> int:
        """As of one moment: a running container is frozen while what it has written is copied, and
        read afterwards while it runs on. Needs room for the archive where containerd keeps its
        content."""
        container, process = observed(self._connection, name)
        with native(f"export '{name}'"), lease(self._connection, collect=True) as held:
            layer = self._layer(container, process, held)
            count = 0
            for piece in self._content.pieces(layer.digest):
                target.write(piece)
                count += len(piece)
        return count

    def _layer(
        self, container: Container, process: task_pb2.Process | None, held: str
    ) -> Descriptor:
        layers = self._layers.of(container.snapshotter)
        key = container.snapshot_key
        if process is None or process.status not in _WRITING:
            return layers.whole(key, held, active=True)
        copy = f"hypersdk-{secrets.token_hex(8)}"
        with self._tasks.halted(container.id, process):
            written = layers.written(key, held)
        layers.keep(copy, written, layers.parent(key) or "", {}, held)
        try:
            return layers.whole(copy, held, active=False)
        finally:
            with undisturbed():
                layers.remove(copy)
