"""Layers of images as snapshots, and what a container has written as a layer.

A chain of layers is unpacked one by one; each snapshot has the name of its chain, as all clients of
containerd call it, so that what others unpacked is used and the other way round.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import grpc

from hypersdk.drivers.containerd import labels
from hypersdk.drivers.containerd.api.services.diff.v1.diff_pb2 import (
    ApplyRequest,
    DiffRequest,
)
from hypersdk.drivers.containerd.api.services.snapshots.v1.snapshots_pb2 import (
    CommitSnapshotRequest,
    MountsRequest,
    PrepareSnapshotRequest,
    RemoveSnapshotRequest,
    StatSnapshotRequest,
    ViewSnapshotRequest,
)
from hypersdk.drivers.containerd.api.types.descriptor_pb2 import Descriptor
from hypersdk.drivers.containerd.api.types.mount_pb2 import Mount
from hypersdk.drivers.containerd.connection import Connection, undisturbed
from hypersdk.drivers.containerd.content import LAYER, Content
from hypersdk.drivers.containerd.errors import is_missing, status
from hypersdk.model.errors import InvalidInput


class Layers:
    """Of one snapshotter. May be used by any number of threads. Raises grpc.RpcError."""

    def __init__(self, connection: Connection, snapshotter: str) -> None:
        self._connection = connection
        self.snapshotter = snapshotter
        self._unpacking = threading.Lock()

    def of(self, snapshotter: str) -> Layers:
        """Those of another snapshotter: containers that others made may have any."""
        return self if snapshotter == self.snapshotter else Layers(self._connection, snapshotter)

    def unpacked(
        self,
        content: Content,
        config: str,
        layers: Sequence[Descriptor],
        ids: Sequence[str],
        lease: str,
        *,
        keep: bool = False,
    ) -> str:
        """The snapshot with all layers of an image; made when it is not there.

        ``config``: digest of the image's configuration, which keeps what was made from now on, and
        with ``keep`` what was there as well. ``ids``: digests of the layers without their
        compression. Raises InvalidInput.
        """
        chain = chain_ids(ids)
        if len(layers) != len(ids):
            raise InvalidInput(
                f"an image has {len(layers)} layers and names {len(ids)}", hint="Make it anew."
            )
        if not chain:
            return ""
        if not self.exists(chain[-1]):
            keep = True
            with self._unpacking:  # twenty containers of a new image: one unpacks it
                for number, layer in enumerate(layers):
                    if not self.exists(chain[number]):
                        parent = chain[number - 1] if number else ""
                        self._unpack(layer, ids[number], parent, chain[number], lease)
        if keep:
            content.label(config, {labels.keeps_snapshot(self.snapshotter): chain[-1]})
        return chain[-1]

    def exists(self, key: str) -> bool:
        return self.parent(key) is not None

    def parent(self, key: str) -> str | None:
        """None when there is no such snapshot."""
        try:
            answer = self._connection.read(
                "snapshots.Stat", StatSnapshotRequest(snapshotter=self.snapshotter, key=key)
            )
        except grpc.RpcError as error:
            if is_missing(error):
                return None
            raise
        return str(answer.info.parent)

    def prepare(
        self, key: str, parent: str, marks: Mapping[str, str] | None = None, *, lease: str = ""
    ) -> list[Mount]:
        """A writable snapshot on top of another."""
        answer = self._connection.change(
            "snapshots.Prepare",
            PrepareSnapshotRequest(
                snapshotter=self.snapshotter, key=key, parent=parent, labels=marks or {}
            ),
            lease=lease,
        )
        return list(answer.mounts)

    def mounts(self, key: str) -> list[Mount]:
        answer = self._connection.read(
            "snapshots.Mounts", MountsRequest(snapshotter=self.snapshotter, key=key)
        )
        return list(answer.mounts)

    def remove(self, key: str) -> None:
        """That it is gone already is no error."""
        try:
            self._connection.change(
                "snapshots.Remove",
                RemoveSnapshotRequest(snapshotter=self.snapshotter, key=key),
                timeout=60,
            )
        except grpc.RpcError as error:
            if not is_missing(error):
                raise

    def written(self, key: str, lease: str) -> Descriptor:
        """What was written into a snapshot since it was prepared, as a layer in the content store
        that belongs to ``lease``. Whoever writes there must be halted meanwhile."""
        parent = self.parent(key)
        if not parent:
            return self._difference([], self.mounts(key), lease)
        with self._view(parent, lease) as below:
            return self._difference(below, self.mounts(key), lease)

    def whole(self, key: str, lease: str, *, active: bool) -> Descriptor:
        """All that is in a snapshot nobody writes to, as one layer. ``active``: somebody could."""
        if active:
            return self._difference([], self.mounts(key), lease)
        with self._view(key, lease) as mounts:
            return self._difference([], mounts, lease)

    def keep(
        self, name: str, layer: Descriptor, parent: str, marks: Mapping[str, str], lease: str
    ) -> None:
        """Make a snapshot ``name`` of a layer on top of ``parent``; ``lease`` holds it."""
        key = f"hypersdk-{secrets.token_hex(8)}"
        mounts = self.prepare(key, parent, lease=lease)
        with self._removed_on_failure(key):
            self._connection.change("diff.Apply", ApplyRequest(diff=layer, mounts=mounts))
            self._commit(key, name, marks, lease)

    def _unpack(
        self, layer: Descriptor, identity: str, parent: str, chain: str, lease: str
    ) -> None:
        key = f"hypersdk-{secrets.token_hex(8)}"
        mounts = self.prepare(key, parent, lease=lease)
        with self._removed_on_failure(key):
            applied = self._connection.change("diff.Apply", ApplyRequest(diff=layer, mounts=mounts))
            if applied.applied.digest != identity:
                raise InvalidInput(
                    f"the layer {layer.digest} holds {applied.applied.digest}, not {identity}",
                    hint="The image is damaged; import it anew.",
                )
            try:
                self._commit(key, chain, {}, lease)
            except grpc.RpcError as error:
                if status(error) is not grpc.StatusCode.ALREADY_EXISTS:
                    raise
                self.remove(key)  # another client was quicker

    def _commit(self, key: str, name: str, marks: Mapping[str, str], lease: str) -> None:
        self._connection.change(
            "snapshots.Commit",
            CommitSnapshotRequest(snapshotter=self.snapshotter, name=name, key=key, labels=marks),
            lease=lease,
        )

    def _difference(
        self, before: Sequence[Mount], after: Sequence[Mount], lease: str
    ) -> Descriptor:
        answer = self._connection.change(
            "diff.Diff",
            DiffRequest(
                left=before,
                right=[read_only(mount) for mount in after],
                media_type=LAYER,
                ref=f"hypersdk-{secrets.token_hex(8)}",
            ),
            lease=lease,
        )
        found: Descriptor = answer.diff
        return found

    @contextmanager
    def _view(self, key: str, lease: str) -> Iterator[list[Mount]]:
        view = f"hypersdk-{secrets.token_hex(8)}"
        answer = self._connection.change(
            "snapshots.View",
            ViewSnapshotRequest(snapshotter=self.snapshotter, key=view, parent=key),
            lease=lease,
        )
        try:
            yield list(answer.mounts)
        finally:
            with undisturbed():
                self.remove(view)

    @contextmanager
    def _removed_on_failure(self, key: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with undisturbed(), suppress(grpc.RpcError):
                self.remove(key)
            raise


def chain_ids(ids: Sequence[str]) -> list[str]:
    """Names of the snapshots of a stack of layers, lowest first (OCI image spec, "ChainID")."""
    found: list[str] = []
    for identity in ids:
        if not found:
            found.append(identity)
            continue
        joined = hashlib.sha256(f"{found[-1]} {identity}".encode())
        found.append(f"sha256:{joined.hexdigest()}")
    return found


def read_only(mount: Mount) -> Mount:
    """The same content, so that looking at it cannot change it: an overlay that is in use must not
    be mounted a second time with its upper folder, so that becomes the topmost of the lower ones.
    """
    options = dict(option.partition("=")[::2] for option in mount.options)
    if mount.type == "overlay" and "upperdir" in options:
        lower = f"{options['upperdir']}:{options['lowerdir']}"
        kept = [
            option
            for option in mount.options
            if not option.startswith(("upperdir=", "workdir=", "lowerdir="))
        ]
        return Mount(type="overlay", source="overlay", options=[*kept, f"lowerdir={lower}"])
    kept = [option for option in mount.options if option not in {"rw", "ro"}]
    return Mount(type=mount.type, source=mount.source, options=[*kept, "ro"])
