"""containerd's content store: blobs by their digest."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from hypersdk.drivers.containerd.api.services.content.v1.content_pb2 import (
    COMMIT,
    WRITE,
    Info,
    InfoRequest,
    ReadContentRequest,
    UpdateRequest,
    WriteContentRequest,
)
from hypersdk.drivers.containerd.api.services.leases.v1.leases_pb2 import (
    AddResourceRequest,
    Resource,
)
from hypersdk.drivers.containerd.api.types.descriptor_pb2 import Descriptor
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.errors import status
from hypersdk.model.errors import InvalidInput

#: Bytes of one message of a write; below containerd's limit of 16 MiB.
_PIECE = 1 << 20
#: Manifests and configurations are small; what is larger is none.
DOCUMENT_MAX = 8 << 20
#: Documents kept in memory. They are named by their digest, so they never change.
_KEPT = 256

INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFESTS = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


class Content:
    """May be used by any number of threads. Raises grpc.RpcError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._documents: dict[str, Any] = {}
        self._lock = threading.Lock()

    def pieces(self, digest: str) -> Iterator[bytes]:
        """A blob from its beginning to its end."""
        answers = self._connection.stream("content.Read", ReadContentRequest(digest=digest))
        try:
            with self._connection.watching():
                for answer in answers:
                    yield answer.data
        finally:
            answers.cancel()

    def document(self, digest: str) -> Any:
        """A blob of JSON. Raises InvalidInput for what is none."""
        known = self._documents.get(digest)
        if known is not None:
            return known
        size = self._connection.read("content.Info", InfoRequest(digest=digest)).info.size
        if size > DOCUMENT_MAX:
            raise _no_document(digest)
        try:
            found = json.loads(b"".join(self.pieces(digest)))
        except ValueError as error:
            raise _no_document(digest) from error
        if not isinstance(found, dict):
            raise _no_document(digest)
        with self._lock:
            if len(self._documents) >= _KEPT:
                self._documents.clear()
            self._documents[digest] = found
        return found

    def forget(self, digest: str) -> None:
        """Ask again: the image may have been taken away and come back with other blobs."""
        with self._lock:
            self._documents.pop(digest, None)

    def has(self, digest: str) -> bool:
        try:
            self._connection.read("content.Info", InfoRequest(digest=digest))
        except grpc.RpcError as error:
            if status(error) is grpc.StatusCode.NOT_FOUND:
                return False
            raise
        return True

    def put(self, kind: str, content: bytes, lease: str, refers: Mapping[str, str]) -> Descriptor:
        """Store a small blob; ``refers``: labels, for the garbage collector."""
        left = [content]
        found = self.take(
            kind, lambda limit: (left.pop() if left else b"")[:limit], lease, limit=len(content) + 1
        )
        if refers:
            self.label(found.digest, refers)
        return found

    def take(
        self, kind: str, read: Callable[[int], bytes], lease: str, *, limit: int = _PIECE
    ) -> Descriptor:
        """Store what ``read`` gives, until it gives nothing. Two who bring the same blob both
        succeed. The lease holds it."""
        hashed, size = hashlib.sha256(), 0
        reference = f"hypersdk-{secrets.token_hex(8)}"
        failure: list[BaseException] = []

        def questions() -> Iterator[WriteContentRequest]:
            nonlocal size
            try:
                while piece := read(limit):
                    yield WriteContentRequest(action=WRITE, ref=reference, offset=size, data=piece)
                    hashed.update(piece)
                    size += len(piece)
                yield WriteContentRequest(
                    action=COMMIT,
                    ref=reference,
                    offset=size,
                    total=size,
                    expected=f"sha256:{hashed.hexdigest()}",
                )
            except Exception as error:  # noqa: BLE001 - it is in a thread of gRPC's; raised below
                failure.append(error)
                answers.cancel()

        answers = self._connection.stream("content.Write", questions(), lease=lease)
        try:
            with self._connection.watching():
                for _ in answers:
                    pass
        except grpc.RpcError as error:
            if failure:
                raise failure[0] from error
            if status(error) is not grpc.StatusCode.ALREADY_EXISTS:
                raise
            self._hold(f"sha256:{hashed.hexdigest()}", lease)
        return Descriptor(media_type=kind, digest=f"sha256:{hashed.hexdigest()}", size=size)

    def label(self, digest: str, labels: Mapping[str, str]) -> None:
        self._connection.change(
            "content.Update",
            UpdateRequest(
                info=Info(digest=digest, labels=labels),
                update_mask=FieldMask(paths=[f"labels.{key}" for key in labels]),
            ),
            timeout=30,
        )

    def _hold(self, digest: str, lease: str) -> None:
        """What was there already is not in the lease yet."""
        self._connection.change(
            "leases.AddResource",
            AddResourceRequest(id=lease, resource=Resource(id=digest, type="content")),
            timeout=30,
        )


def _no_document(digest: str) -> InvalidInput:
    return InvalidInput(
        f"the blob {digest} is no JSON document of an image", hint="Import the image anew."
    )
