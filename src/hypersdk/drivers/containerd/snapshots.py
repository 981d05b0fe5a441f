"""Snapshots: what a container had written by then, as a snapshot of the snapshotter.

containerd's own commit would turn the writable layer of a running container into something that
must not change. So the layer is copied: all processes are frozen while containerd reads it, and the
copy stands on the same layers as the container did. The container's labels refer to its snapshots,
which makes them garbage when it goes, whoever deletes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from hypersdk.drivers.containerd import labels, translate
from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import (
    Container,
    UpdateContainerRequest,
)
from hypersdk.drivers.containerd.api.services.snapshots.v1.snapshots_pb2 import (
    Info,
    ListSnapshotsRequest,
    UpdateSnapshotRequest,
)
from hypersdk.drivers.containerd.connection import Connection, undisturbed
from hypersdk.drivers.containerd.errors import native
from hypersdk.drivers.containerd.inventory import container_of, observed
from hypersdk.drivers.containerd.layers import Layers
from hypersdk.drivers.containerd.leases import lease
from hypersdk.drivers.containerd.lifecycle import ContainerdLifecycle
from hypersdk.drivers.containerd.tasks import Tasks
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import AlreadyExists, InvalidInput, NotFound, NotSupported
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Snapshot

_LIMITS = (
    Limit("snapshots.memory", "processes are not kept; that would take CRIU"),
    Limit("snapshots.quiesce", "containers have no guest agent; their processes are frozen"),
)
_NAME_MAX = 256


@dataclass(frozen=True, slots=True)
class _Kept:
    """A snapshot and where it is."""

    key: str
    #: Of the label by which its container refers to it.
    label: str
    view: Snapshot


class ContainerdSnapshots:
    """May be used by any number of threads; two changes of one container's snapshots at once are
    for its owner to avoid."""

    limits = _LIMITS

    def __init__(
        self, connection: Connection, layers: Layers, lifecycle: ContainerdLifecycle
    ) -> None:
        self._connection = connection
        self._layers = layers
        self._lifecycle = lifecycle
        self._tasks = Tasks(connection)

    def create(
        self,
        name: str,
        snapshot: str,
        *,
        memory: bool = False,
        quiesce: bool = False,
        description: str = "",
    ) -> Snapshot:
        """Its processes are frozen while what they have written is copied."""
        for limit, wanted in zip(_LIMITS, (memory, quiesce), strict=True):
            if wanted:
                raise NotSupported(
                    f"no snapshot '{snapshot}' of '{name}': {limit.note}", hint="Make it without."
                )
        _check_name(snapshot)
        container, process = observed(self._connection, name)
        if any(kept.view.name == snapshot for kept in self._kept(container)):
            raise AlreadyExists(
                f"'{name}' has a snapshot '{snapshot}'", hint="Take another name, or delete it."
            )
        layers = self._layers.of(container.snapshotter)
        token = secrets.token_hex(8)
        key = f"hypersdk-{name}-{token}"
        marks = labels.checked(
            {
                labels.SNAPSHOT_OF: name,
                labels.SNAPSHOT_NAME: snapshot,
                labels.SNAPSHOT_PARENT: container.labels.get(labels.CURRENT, ""),
                labels.SNAPSHOT_STATE: translate.state(process, container).value,
                labels.SNAPSHOT_DESCRIPTION: description,
            },
            name,
        )
        with native(f"make the snapshot '{snapshot}' of '{name}'"):
            with lease(self._connection, collect=True) as held:
                base = layers.parent(container.snapshot_key) or ""
                with self._tasks.halted(name, process):
                    layer = layers.written(container.snapshot_key, held)
                layers.keep(key, layer, base, marks, held)
                reference = labels.keeps_snapshot(container.snapshotter, token)
                self._tasks.mark(name, {reference: key, labels.CURRENT: snapshot})
            return self._find(container_of(self._connection, name), snapshot).view

    def snapshots(self, name: str) -> Sequence[Snapshot]:
        return [kept.view for kept in self._kept(container_of(self._connection, name))]

    def revert(self, name: str, snapshot: str) -> None:
        """A running container is killed and started anew on the content as it was then; a paused
        one waits to be resumed."""
        container, process = observed(self._connection, name)
        kept = self._find(container, snapshot)
        state = translate.state(process, container)
        layers = self._layers.of(container.snapshotter)
        key = f"{name}-{secrets.token_hex(4)}"
        with native(f"revert '{name}' to '{snapshot}'"):
            with lease(self._connection) as held:
                layers.prepare(key, kept.key, lease=held)
                try:
                    self._tasks.kill(name)
                    self._stand_on(name, key, snapshot)
                except BaseException:
                    with undisturbed(), suppress(grpc.RpcError):
                        layers.remove(key)
                    raise
            layers.remove(container.snapshot_key)
        if state is not InstanceState.STOPPED:
            self._lifecycle.start(name, paused=state is InstanceState.PAUSED)

    def delete(self, name: str, snapshot: str, *, children: bool = False) -> None:
        """Content that the container, or another snapshot, still stands on stays until they go."""
        container = container_of(self._connection, name)
        all_kept = self._kept(container)
        doomed = _with_children(self._find(container, snapshot), all_kept, children=children)
        gone = {kept.view.name for kept in doomed}
        parent = doomed[0].view.parent
        layers = self._layers.of(container.snapshotter)
        with native(f"delete the snapshot '{snapshot}' of '{name}'"):
            for kept in all_kept:
                if kept.view.parent in gone and kept.view.name not in gone:
                    self._mark(container.snapshotter, kept.key, {labels.SNAPSHOT_PARENT: parent})
            marks = {kept.label: "" for kept in doomed}
            if container.labels.get(labels.CURRENT) in gone:
                marks[labels.CURRENT] = parent
            self._tasks.mark(name, marks)
            for kept in reversed(doomed):
                with suppress(grpc.RpcError):  # stood upon; it is garbage when that has gone
                    layers.remove(kept.key)

    def _kept(self, container: Container) -> list[_Kept]:
        """Parents first. Only what the container refers to: one of the same name may have been
        deleted a moment ago, and its snapshots not be collected yet."""
        references = labels.snapshots(container.labels)
        if not references:
            return []
        with native(f"list the snapshots of '{container.id}'"):
            request = ListSnapshotsRequest(
                snapshotter=container.snapshotter,
                filters=[f'labels."{labels.SNAPSHOT_OF}"=="{container.id}"'],
            )
            answers = self._connection.stream("snapshots.List", request, timeout=30)
            with self._connection.watching():
                infos = [info for answer in answers for info in answer.info]
        infos.sort(key=lambda info: info.created_at.ToNanoseconds())
        current = container.labels.get(labels.CURRENT, "")
        return [
            _Kept(info.name, references[info.name], _view(info, current))
            for info in infos
            if info.name in references
        ]

    def _find(self, container: Container, snapshot: str) -> _Kept:
        for kept in self._kept(container):
            if kept.view.name == snapshot:
                return kept
        raise NotFound(f"'{container.id}' has no snapshot '{snapshot}'", hint="List its snapshots.")

    def _stand_on(self, name: str, key: str, snapshot: str) -> None:
        """One call: the container has the old content or the new."""
        self._connection.change(
            "containers.Update",
            UpdateContainerRequest(
                container=Container(id=name, snapshot_key=key, labels={labels.CURRENT: snapshot}),
                update_mask=FieldMask(paths=["snapshotkey", f"labels.{labels.CURRENT}"]),
            ),
            timeout=30,
        )

    def _mark(self, snapshotter: str, key: str, marks: Mapping[str, str]) -> None:
        self._connection.change(
            "snapshots.Update",
            UpdateSnapshotRequest(
                snapshotter=snapshotter,
                info=Info(name=key, labels=marks),
                update_mask=FieldMask(paths=[f"labels.{mark}" for mark in marks]),
            ),
            timeout=30,
        )


def _view(info: Info, current: str) -> Snapshot:
    marks = info.labels
    name = marks.get(labels.SNAPSHOT_NAME, info.name)
    return Snapshot(
        name=name,
        created=info.created_at.ToDatetime(UTC),
        parent=marks.get(labels.SNAPSHOT_PARENT, ""),
        current=name == current,
        state=InstanceState(marks.get(labels.SNAPSHOT_STATE, "unknown")),
        memory=False,
        disks={"rootfs": "internal"},
        description=marks.get(labels.SNAPSHOT_DESCRIPTION, ""),
    )


def _with_children(first: _Kept, every: Sequence[_Kept], *, children: bool) -> list[_Kept]:
    doomed = [first]
    if children:
        names = {first.view.name}
        for kept in every:  # parents come first
            if kept.view.parent in names:
                names.add(kept.view.name)
                doomed.append(kept)
    return doomed


def _check_name(snapshot: str) -> None:
    if not snapshot.strip() or len(snapshot) > _NAME_MAX:
        raise InvalidInput(
            f"{snapshot[:40]!r} is no name for a snapshot",
            hint=f"Names have 1 to {_NAME_MAX} characters.",
        )
