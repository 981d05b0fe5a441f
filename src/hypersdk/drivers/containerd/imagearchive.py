"""Archives of images, taken into the content store as they stream by: each byte is read once, and
nothing is unpacked on our side. What belongs to no image is garbage when the lease ends.
"""

from __future__ import annotations

import gzip
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from hypersdk.drivers.containerd import labels
from hypersdk.drivers.containerd.api.types.descriptor_pb2 import Descriptor
from hypersdk.drivers.containerd.content import (
    CONFIG,
    DOCUMENT_MAX,
    INDEXES,
    LAYER,
    MANIFEST,
    Content,
)
from hypersdk.drivers.containerd.manifests import Manifest, architecture, read_manifest
from hypersdk.model.errors import InvalidInput

_HINT = "Give an archive made by 'docker save', 'ctr images export' or 'skopeo copy … oci-archive:'"
_DOCUMENTS = frozenset({"index.json", "manifest.json", "oci-layout"})
#: First bytes of what layers are compressed with → suffix of their media type.
_COMPRESSIONS = ((b"\x1f\x8b", "+gzip"), (b"\x28\xb5\x2f\xfd", "+zstd"))
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@dataclass(frozen=True, slots=True)
class Found:
    """An image of an archive, in the content store."""

    name: str
    target: Descriptor
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class _Blob:
    digest: str
    size: int
    suffix: str


class ImageArchive:
    """One archive that is taken in under a lease."""

    def __init__(self, content: Content, lease: str) -> None:
        self._content = content
        self._lease = lease
        self._blobs: dict[str, _Blob] = {}
        self._links: dict[str, str] = {}
        self._documents: dict[str, bytes] = {}

    def take(self, stream: BinaryIO) -> list[Found]:
        """Raises InvalidInput, grpc.RpcError."""
        try:
            with tarfile.open(fileobj=stream, mode="r|*") as archive:
                for member in archive:
                    self._member(archive, member)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidInput(f"this is no archive of images: {error}", hint=_HINT) from error
        try:
            # Newer archives of Docker are both; their index names blobs as they are.
            images = self._layout() if "index.json" in self._documents else self._saved()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(f"an image in the archive lacks {error}", hint=_HINT) from error
        if not images:
            raise InvalidInput("the archive holds no images", hint=_HINT)
        return images

    def _member(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = _plain(member.name)
        if member.issym() or member.islnk():
            folder = name.rpartition("/")[0] if member.issym() else ""
            self._links[name] = _joined(folder, member.linkname)
            return
        stream = archive.extractfile(member) if member.isreg() else None
        if stream is None:
            return
        if name in _DOCUMENTS:
            if member.size > DOCUMENT_MAX:
                raise InvalidInput(f"{name} has {member.size} bytes", hint=_HINT)
            self._documents[name] = stream.read()
            return
        self._blobs[name] = self._blob(name, stream, member.size)

    def _blob(self, name: str, stream: IO[bytes], size: int) -> _Blob:
        began = stream.read(4)
        suffix = next((word for magic, word in _COMPRESSIONS if began.startswith(magic)), "")
        waiting = [began]

        def read(limit: int) -> bytes:
            return waiting.pop() if waiting and waiting[0] else stream.read(limit)

        stored = self._content.take("", read, self._lease)
        if stored.size != size:
            raise InvalidInput(f"the archive ends within {name}", hint=_HINT)
        folder, _, digest = name.rpartition("/")
        if folder == "blobs/sha256" and stored.digest != f"sha256:{digest}":
            raise InvalidInput(f"{name} is not what its name says", hint="The archive is damaged.")
        return _Blob(stored.digest, stored.size, suffix)

    # --- OCI layout ---

    def _layout(self) -> list[Found]:
        index = json.loads(self._documents["index.json"])
        return [self._entry(entry) for entry in index["manifests"] if _is_image(entry)]

    def _entry(self, entry: Mapping[str, Any]) -> Found:
        target = Descriptor(
            media_type=entry.get("mediaType") or MANIFEST,
            digest=entry["digest"],
            size=entry["size"],
        )
        manifest = read_manifest(self._content, target)
        own = Descriptor(
            media_type=target.media_type if manifest.digest == target.digest else MANIFEST,
            digest=manifest.digest,
            size=self._size(manifest.digest),
        )
        self._refer(manifest)
        notes = entry.get("annotations") or {}
        name = next((notes[key] for key in _NAMES if notes.get(key)), manifest.digest)
        return Found(str(name), own, manifest)

    def _size(self, digest: str) -> int:
        return next(blob.size for blob in self._blobs.values() if blob.digest == digest)

    def _refer(self, manifest: Manifest) -> None:
        """Tell the garbage collector what the manifest needs, of which all must be there."""
        for digest in (manifest.config, *(layer.digest for layer in manifest.layers)):
            if not self._content.has(digest):
                raise InvalidInput(f"the archive lacks the blob {digest}", hint=_HINT)
        self._content.label(manifest.digest, references(manifest.config, manifest.layers))

    # --- docker save ---

    def _saved(self) -> list[Found]:
        if "manifest.json" not in self._documents:
            raise InvalidInput("the archive has no index of images", hint=_HINT)
        images = []
        for entry in json.loads(self._documents["manifest.json"]):
            config = self._resolved(entry["Config"])
            blobs = [self._resolved(layer) for layer in entry["Layers"]]
            layers = [
                Descriptor(media_type=f"{LAYER}{blob.suffix}", digest=blob.digest, size=blob.size)
                for blob in blobs
            ]
            described = Descriptor(media_type=CONFIG, digest=config.digest, size=config.size)
            target = put_manifest(self._content, described, layers, self._lease)
            manifest = read_manifest(self._content, target)
            names = entry.get("RepoTags") or [target.digest]
            images += [Found(str(name), target, manifest) for name in names]
        return images

    def _resolved(self, name: str) -> _Blob:
        name = _plain(name)
        for _ in range(len(self._links) + 1):
            if name in self._blobs:
                return self._blobs[name]
            name = self._links[name]
        raise KeyError(name)


def take_filesystem(content: Content, stream: BinaryIO, name: str, lease: str) -> Found:
    """An archive of a filesystem as an image of one layer. Raises InvalidInput."""
    plain = _Decompressed(stream)
    layer = content.take(LAYER, plain.read, lease)
    document = {
        "architecture": architecture(),
        "os": "linux",
        "config": {"Cmd": ["/bin/sh"], "Env": [_PATH]},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
    }
    config = content.put(CONFIG, json.dumps(document, sort_keys=True).encode(), lease, {})
    target = put_manifest(content, config, [layer], lease)
    return Found(name, target, read_manifest(content, target))


_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def put_manifest(
    content: Content, config: Descriptor, layers: list[Descriptor], lease: str
) -> Descriptor:
    """Store a manifest, with labels that keep what it refers to."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _entry_of(config),
        "layers": [_entry_of(layer) for layer in layers],
    }
    refers = references(config.digest, tuple(layers))
    return content.put(MANIFEST, json.dumps(document, sort_keys=True).encode(), lease, refers)


def references(config: str, layers: tuple[Descriptor, ...]) -> dict[str, str]:
    """Labels of a manifest."""
    kept = {labels.keeps_content("config"): config}
    for number, layer in enumerate(layers):
        kept[labels.keeps_content(f"l.{number}")] = layer.digest
    return kept


class _Decompressed:
    """The archive without gzip, checked to be one: as tar it begins, and it is not cut off."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._began = False
        self._waiting = b""
        self._inflate: Any = None

    def read(self, limit: int) -> bytes:
        try:
            return self._read(limit)
        except zlib.error as error:
            raise InvalidInput(
                f"the archive is damaged: {error}", hint="Make it anew with tar."
            ) from error

    def _read(self, limit: int) -> bytes:
        if not self._began:
            self._began = True
            self._waiting = self._stream.read(limit)
            if self._waiting.startswith(b"\x1f\x8b"):
                self._inflate = zlib.decompressobj(wbits=31)
        if self._inflate is None:
            piece, self._waiting = self._waiting or self._stream.read(limit), b""
            return piece
        while not self._inflate.eof:
            given = self._waiting or self._stream.read(limit)
            if not given:
                raise zlib.error("it is cut off")
            found: bytes = self._inflate.decompress(given, limit)
            self._waiting = self._inflate.unconsumed_tail
            if found:
                return found
        return b""


def _is_image(entry: Mapping[str, Any]) -> bool:
    """Signatures and attestations travel in archives too."""
    kind = entry.get("mediaType") or MANIFEST
    platform = entry.get("platform") or {}
    return (kind in INDEXES or "manifest" in kind) and platform.get("os") != "unknown"


def _entry_of(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }


def _plain(name: str) -> str:
    return name.removeprefix("./").strip("/")


def _joined(folder: str, link: str) -> str:
    """Where a link within the archive leads; never outside: it is only looked up in a table."""
    parts = [part for part in folder.split("/") if part]
    for part in link.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)
