"""Images: what containers are made from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import BinaryIO

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import (
    ListContainersRequest,
)
from hypersdk.drivers.containerd.api.services.images.v1.images_pb2 import (
    CreateImageRequest,
    DeleteImageRequest,
    GetImageRequest,
    ListImagesRequest,
    UpdateImageRequest,
)
from hypersdk.drivers.containerd.api.services.images.v1.images_pb2 import Image as Record
from hypersdk.drivers.containerd.connection import Connection, undisturbed
from hypersdk.drivers.containerd.content import Content
from hypersdk.drivers.containerd.errors import Gone, complaint, native, status
from hypersdk.drivers.containerd.imagearchive import Found, ImageArchive, take_filesystem
from hypersdk.drivers.containerd.layers import Layers
from hypersdk.drivers.containerd.leases import lease
from hypersdk.drivers.containerd.manifests import found, read_manifest
from hypersdk.model.containers import Image
from hypersdk.model.errors import HyperSDKError, InvalidInput, InvalidState

#: Longest name that is worth giving; containerd has no limit of its own.
_NAME_MAX = 512


class ContainerdImages:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection, content: Content, layers: Layers) -> None:
        self._connection = connection
        self._content = content
        self._layers = layers

    def images(self) -> Sequence[Image]:
        """By name. ``size``: bytes of the blobs as stored; 0 where they are not there."""
        with native(f"list the images of {self._connection}"):
            answer = self._connection.read("images.List", ListImagesRequest())
            images = [self._image(record) for record in answer.images]
        return sorted(images, key=lambda image: image.name)

    def load(self, archive: BinaryIO, name: str = "") -> Sequence[Image]:
        """Unpacked at once, which proves the archive to be whole. An image whose name was taken
        replaces the one that had it."""
        if len(name) > _NAME_MAX or name.strip() != name:
            raise InvalidInput(f"{name[:80]!r} is no name of an image", hint="Write NAME:TAG.")
        with native("load images"), lease(self._connection) as held:
            if name:
                images = [take_filesystem(self._content, archive, name, held)]
            else:
                images = ImageArchive(self._content, held).take(archive)
            for image in images:
                self._unpack(image, held)
            records = self._named(images)
        return sorted((self._image(record) for record in records), key=lambda one: one.name)

    def delete(self, name: str) -> None:
        """Its layers go with it unless something else needs them."""
        with native(f"delete the image '{name}'"):
            record = found(self._connection, name)
            for container in self._connection.read(
                "containers.List", ListContainersRequest()
            ).containers:
                if container.image == record.name:
                    raise InvalidState(
                        f"the image '{name}' is needed by '{container.id}'",
                        hint="Delete that instance first.",
                    )
            self._connection.change(
                "images.Delete", DeleteImageRequest(name=record.name, sync=True), timeout=60
            )

    def _image(self, record: Record) -> Image:
        size = 0
        # Others keep images of which they have deleted, or never fetched, the content.
        with suppress(InvalidInput), Gone():
            size = read_manifest(self._content, record.target).size
        created = record.created_at.ToDatetime(UTC)
        return Image(record.name, record.target.digest, size, created)

    def _unpack(self, image: Found, held: str) -> None:
        manifest = image.manifest
        try:
            self._layers.unpacked(
                self._content, manifest.config, manifest.layers, manifest.ids, held, keep=True
            )
        except grpc.RpcError as error:
            if status(error) in _ABOUT_THE_ARCHIVE and "no space" not in complaint(error):
                raise InvalidInput(
                    f"'{image.name}' cannot be unpacked: {complaint(error)}",
                    hint="Its layers are no tar archives, or damaged; make the archive anew.",
                ) from error
            raise

    def _named(self, images: Sequence[Found]) -> list[Record]:
        """Give the images their names; all of them or none."""
        before: dict[str, Record | None] = {}
        records = []
        try:
            for image in images:
                before[image.name] = self._record(image.name)
                records.append(self._put(image.name, image, exists=before[image.name] is not None))
        except (HyperSDKError, grpc.RpcError):
            with undisturbed():
                for name, record in before.items():
                    self._put_back(name, record)
            raise
        return records

    def _record(self, name: str) -> Record | None:
        with Gone():
            record: Record = self._connection.read("images.Get", GetImageRequest(name=name)).image
            return record
        return None

    def _put(self, name: str, image: Found, *, exists: bool) -> Record:
        now = Timestamp()
        now.FromDatetime(datetime.now(UTC))
        record = Record(name=name, target=image.target, created_at=now, updated_at=now)
        if exists:
            request = UpdateImageRequest(image=record, update_mask=FieldMask(paths=["target"]))
            updated: Record = self._connection.change("images.Update", request, timeout=30).image
            return updated
        created: Record = self._connection.change(
            "images.Create", CreateImageRequest(image=record), timeout=30
        ).image
        return created

    def _put_back(self, name: str, record: Record | None) -> None:
        with Gone():
            if record is None:
                self._connection.change("images.Delete", DeleteImageRequest(name=name), timeout=30)
            else:
                self._connection.change(
                    "images.Update",
                    UpdateImageRequest(image=record, update_mask=FieldMask(paths=["target"])),
                    timeout=30,
                )


_ABOUT_THE_ARCHIVE = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)
