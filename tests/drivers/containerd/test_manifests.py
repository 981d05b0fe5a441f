from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from hypersdk.conformance.targets.busybox import digest, oci_archive
from hypersdk.drivers.containerd.manifests import architecture, candidates
from hypersdk.model.errors import InvalidInput
from tests.drivers.containerd.lab import Lab

_INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("me/tool", "docker.io/me/tool:latest"),
        ("ghcr.io/me/tool:1", "ghcr.io/me/tool:1"),
        ("localhost/tool", "localhost/tool:latest"),
        ("host:5000/tool", "host:5000/tool:latest"),
        ("a@sha256:1234", "docker.io/library/a@sha256:1234"),
    ],
)
def test_names_are_completed(name: str, full: str) -> None:
    assert candidates(name)[0] == name
    assert candidates(name)[-1] == full


def _indexed(*architectures: str) -> bytes:
    """An archive whose image is an index; only the first platform's manifest is in it."""
    archive = oci_archive("")
    with tarfile.open(fileobj=io.BytesIO(archive)) as old:
        files: dict[str, bytes] = {}
        for entry in old:
            stream = old.extractfile(entry)
            files[entry.name] = stream.read() if stream else b""
    (real,) = json.loads(files["index.json"])["manifests"]
    entries: list[dict[str, Any]] = [
        {**real, "platform": {"os": "linux", "architecture": one}}
        if number == 0
        else {
            "mediaType": real["mediaType"],
            "digest": digest(one.encode()),
            "size": 9,
            "platform": {"os": "linux", "architecture": one},
        }
        for number, one in enumerate(architectures)
    ]
    inner = json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries}).encode()
    files[f"blobs/{digest(inner).replace(':', '/')}"] = inner
    outer = {
        "mediaType": _INDEX,
        "digest": digest(inner),
        "size": len(inner),
        "annotations": {"org.opencontainers.image.ref.name": "lab.test/many:1"},
    }
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [outer]}).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as new:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_of_several_platforms_ours_is_taken(lab: Lab) -> None:
    archive = _indexed(architecture(), "s390x", "mips")
    (image,) = lab.hypervisor.images.load(io.BytesIO(archive))
    assert image.name == "lab.test/many:1"
    lab.running(image="lab.test/many:1")
    assert lab.shell("echo runs") == b"runs\n"


def test_none_for_us(lab: Lab) -> None:
    with pytest.raises(InvalidInput, match=f"nothing for linux/{architecture()}, but linux/other"):
        lab.hypervisor.images.load(io.BytesIO(_indexed("other")))
