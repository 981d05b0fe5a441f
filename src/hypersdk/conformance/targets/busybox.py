"""The smallest image whose first process keeps running: busybox and nothing else, as archives."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from hypersdk.model.errors import MissingRequirement

#: Ends when it is asked to; a first process without a trap would not.
OBEDIENT = ("/bin/sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 1 & wait $!; done")
#: Does not.
STUBBORN = ("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")

_FOLDERS = ("bin", "dev", "etc", "proc", "root", "sys", "tmp")
_APPLETS = (
    "cat", "dd", "echo", "env", "false", "grep", "head", "id", "kill", "ls", "mkdir", "mv", "ps",
    "rm", "sh", "sleep", "sync", "tail", "test", "touch", "tr", "true", "wc", "yes",
)  # fmt: skip
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nlab:x:1000:1001::/tmp:/bin/sh\n"
_GROUP = b"root:x:0:\nlab:x:1001:\nmore:x:1002:lab\n"
#: ``uname -m`` → the word in images.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def rootfs_tar() -> bytes:
    """A filesystem, as a tar archive. Raises MissingRequirement."""
    program = shutil.which("busybox")
    if program is None:
        raise MissingRequirement("busybox is not installed", hint="apt install busybox-static")
    with open(program, "rb") as file:
        busybox = file.read()
    entries = [_folder(name) for name in _FOLDERS]
    files = [("bin/busybox", busybox, 0o755)]
    files += [("etc/passwd", _PASSWD, 0o644), ("etc/group", _GROUP, 0o644)]
    links = [_link(f"bin/{applet}", "busybox") for applet in _APPLETS]
    return _tar(files, [*entries, *links])


def oci_archive(
    name: str,
    command: Sequence[str] = OBEDIENT,
    *,
    layers: Sequence[bytes] = (),
    settings: Mapping[str, Any] | None = None,
    architecture: str = "",
) -> bytes:
    """An OCI layout with one image, as a tar archive. ``layers``: instead of busybox;
    ``settings``: more of the image's configuration."""
    contents = [*layers] or [rootfs_tar()]
    config = _config(command, contents, settings, architecture)
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, layer) for layer in contents],
        }
    )
    root = _descriptor(_MANIFEST, manifest)
    if name:
        root["annotations"] = {"io.containerd.image.name": name}
    blobs = [
        (f"blobs/{digest(blob).replace(':', '/')}", blob, 0o644)
        for blob in dict.fromkeys((config, manifest, *contents))
    ]
    index = _json({"schemaVersion": 2, "manifests": [root]})
    layout = b'{"imageLayoutVersion":"1.0.0"}'
    return _tar([("oci-layout", layout, 0o644), *blobs, ("index.json", index, 0o644)])


def docker_archive(name: str, command: Sequence[str] = OBEDIENT) -> bytes:
    """The same image in the form of ``docker save``."""
    layer = rootfs_tar()
    config = _config(command, [layer], None, "")
    index = _json([{"Config": "config.json", "RepoTags": [name], "Layers": ["1/layer.tar"]}])
    return _tar(
        [
            ("1/layer.tar", layer, 0o644),
            ("config.json", config, 0o644),
            ("manifest.json", index, 0o644),
        ]
    )


def digest(content: bytes) -> str:
    """``sha256:…``"""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _config(
    command: Sequence[str],
    layers: Sequence[bytes],
    settings: Mapping[str, Any] | None,
    architecture: str,
) -> bytes:
    machine = os.uname().machine
    return _json(
        {
            "architecture": architecture or _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": {"Cmd": list(command), "Env": ["PATH=/bin", "LAB=yes"], **(settings or {})},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        }
    )


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def _tar(files: Sequence[tuple[str, bytes, int]], others: Sequence[tarfile.TarInfo] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry in others:
            archive.addfile(entry)
        for name, content, mode in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
    return entry


def _link(name: str, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    return entry
