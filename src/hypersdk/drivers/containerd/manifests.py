"""What an image is made of: from its name in containerd to its layers and its configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from hypersdk.drivers.containerd.api.services.images.v1.images_pb2 import GetImageRequest, Image
from hypersdk.drivers.containerd.api.types.descriptor_pb2 import Descriptor
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.content import INDEXES, Content
from hypersdk.drivers.containerd.errors import is_missing
from hypersdk.model.errors import InvalidInput, NotFound

#: ``uname -m`` → the word in images.
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
#: An index may hold an index; how deep.
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Manifest:
    """The image for this machine."""

    #: Digest of the manifest, and of the configuration.
    digest: str
    config: str
    layers: tuple[Descriptor, ...]
    #: The configuration's document, and the part of it that says how to run the image.
    document: Mapping[str, Any]
    #: Bytes of all blobs as they are stored.
    size: int

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.document.get("config") or {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Digests of the layers without their compression."""
        return tuple((self.document.get("rootfs") or {}).get("diff_ids") or ())


def found(connection: Connection, name: str) -> Image:
    """The image of this name; what a person leaves out is completed as Docker does it.

    Raises NotFound, grpc.RpcError.
    """
    for candidate in candidates(name):
        try:
            image: Image = connection.read("images.Get", GetImageRequest(name=candidate)).image
        except grpc.RpcError as error:
            if not is_missing(error):
                raise
        else:
            return image
    raise NotFound(
        f"there is no image '{name}' in {connection}",
        hint="Import it from an archive, or let ctr or nerdctl pull it into this namespace.",
    )


def candidates(name: str) -> tuple[str, ...]:
    """``busybox`` may mean ``docker.io/library/busybox:latest``; the exact name comes first."""
    last = name.rpartition("/")[2]
    tagged = name if "@" in name or ":" in last else f"{name}:latest"
    first = name.partition("/")[0]
    if "/" not in name:
        full = f"docker.io/library/{tagged}"
    elif "." in first or ":" in first or first == "localhost":
        full = tagged
    else:
        full = f"docker.io/{tagged}"
    return tuple(dict.fromkeys((name, tagged, full)))


def read_manifest(content: Content, target: Descriptor) -> Manifest:
    """The manifest for this machine. Raises InvalidInput, NotFound, grpc.RpcError."""
    manifest, digest = content.document(target.digest), target.digest
    for _ in range(_DEPTH):
        if target.media_type not in INDEXES and "manifests" not in manifest:
            break
        target = _fitting(content, manifest, digest)
        manifest, digest = content.document(target.digest), target.digest
    try:
        config = _descriptor(manifest["config"])
        layers = tuple(_descriptor(layer) for layer in manifest["layers"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidInput(
            f"{digest} is no manifest of an image", hint="Import the image anew."
        ) from error
    size = target.size + config.size + sum(layer.size for layer in layers)
    return Manifest(digest, config.digest, layers, content.document(config.digest), size)


def architecture() -> str:
    """This machine's, in the words of images."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def _fitting(content: Content, index: Mapping[str, Any], digest: str) -> Descriptor:
    """Of several platforms that of this machine, if its manifest is there."""
    wanted, others = architecture(), []
    for entry in index.get("manifests") or ():
        platform = entry.get("platform") or {}
        fits = platform.get("os", "linux") == "linux" and (
            platform.get("architecture", wanted) == wanted
        )
        others.append(f"{platform.get('os', '?')}/{platform.get('architecture', '?')}")
        if fits and content.has(entry["digest"]):
            return _descriptor(entry)
    raise InvalidInput(
        f"the image {digest} has nothing for linux/{wanted}, but {', '.join(others) or 'nothing'}",
        hint="Import the image of this machine's platform.",
    )


def _descriptor(entry: Mapping[str, Any]) -> Descriptor:
    return Descriptor(
        media_type=str(entry.get("mediaType", "")),
        digest=str(entry["digest"]),
        size=int(entry["size"]),
    )
