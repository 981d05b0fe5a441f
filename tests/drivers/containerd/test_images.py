from __future__ import annotations

import gzip
import io
import json
import os
import tarfile

import pytest

from hypersdk.conformance.targets.busybox import (
    OBEDIENT,
    digest,
    docker_archive,
    oci_archive,
    rootfs_tar,
)
from hypersdk.drivers.containerd.driver import connect
from hypersdk.model.errors import InvalidInput, InvalidState, LimitExceeded, NotFound
from hypersdk.model.units import MIB
from tests.containers.containerd import IMAGE, Containerd, require_containerd
from tests.drivers.containerd.lab import Lab, eventually


def _names(lab: Lab) -> list[str]:
    return [image.name for image in lab.hypervisor.images.images()]


@pytest.mark.parametrize(
    ("archive", "name"),
    [
        (oci_archive("lab.test/oci:1"), "lab.test/oci:1"),
        (gzip.compress(oci_archive("lab.test/gz:1"), 1), "lab.test/gz:1"),
        (docker_archive("saved:1"), "saved:1"),
    ],
    ids=["oci", "oci.gz", "docker"],
)
def test_archives_of_images(lab: Lab, archive: bytes, name: str) -> None:
    (image,) = lab.hypervisor.images.load(io.BytesIO(archive))
    assert image.name == name
    assert image.id.startswith("sha256:")
    assert image.size > len(rootfs_tar())
    assert image in lab.hypervisor.images.images()
    lab.running(image=name)
    assert lab.shell("echo it runs") == b"it runs\n"
    with pytest.raises(InvalidState, match="'web'"):
        lab.hypervisor.images.delete(name)
    lab.hypervisor.lifecycle.stop("web", force=True)
    lab.hypervisor.lifecycle.delete("web")
    lab.hypervisor.images.delete(name)
    assert name not in _names(lab)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["tar", "tar.gz"])
def test_a_filesystem_becomes_an_image(lab: Lab, compress: type[bytes]) -> None:
    archive = compress(rootfs_tar())
    (image,) = lab.hypervisor.images.load(io.BytesIO(archive), "lab.test/fs:1")
    assert image.name == "lab.test/fs:1"
    lab.running(image="lab.test/fs:1", command=OBEDIENT)
    assert b"busybox" in lab.shell("ls /bin")


def test_names_are_completed_as_docker_does(lab: Lab) -> None:
    full = "docker.io/library/tool:latest"
    lab.hypervisor.images.load(io.BytesIO(oci_archive(full)))
    assert lab.hypervisor.lifecycle.create(lab.spec(image="tool")).image == full


def test_a_taken_name_is_given_to_the_new_one(lab: Lab) -> None:
    images = lab.hypervisor.images
    (old,) = images.load(io.BytesIO(oci_archive("lab.test/a:1")))
    (new,) = images.load(io.BytesIO(oci_archive("lab.test/a:1", ("/bin/sleep", "9"))))
    assert old.id != new.id
    assert [image.id for image in images.images() if image.name == "lab.test/a:1"] == [new.id]


def _without(archive: bytes, word: str) -> bytes:
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        tarfile.open(fileobj=buffer, mode="w") as new,
    ):
        for entry in old:
            if word not in entry.name:
                new.addfile(entry, old.extractfile(entry))
    return buffer.getvalue()


#: A layer that no other image has.
_OTHER = rootfs_tar() + bytes(512)
_NAME = digest(_OTHER).removeprefix("sha256:")


@pytest.mark.parametrize(
    ("archive", "name", "saying"),
    [
        (b"", "", "no archive of images"),
        (b"nothing" * 1000, "", "no archive of images"),
        (oci_archive("x:1")[:5000], "", "end"),
        (gzip.compress(oci_archive("x:1"))[:-5000], "", "no archive of images"),
        (rootfs_tar(), "", "no index"),
        (_without(oci_archive("x:1", layers=(_OTHER,)), _NAME), "", "lacks the blob"),
        (oci_archive("x:1", layers=(b"no tar" * 900,)), "", "cannot be unpacked"),
        (b"nothing" * 1000, "x:1", "cannot be unpacked"),
        (rootfs_tar()[:9000], "x:1", "cannot be unpacked"),
        (gzip.compress(rootfs_tar())[:9000], "x:1", "cut off"),
        (rootfs_tar(), " x:1", "no name of an image"),
    ],
    # Archives would be the names of the tests, which programs get in their environment.
    ids=range(11),
)
def test_what_is_no_archive_leaves_nothing(
    lab: Lab, archive: bytes, name: str, saying: str
) -> None:
    before = lab.observer.resources()
    with pytest.raises(InvalidInput, match=saying) as caught:
        lab.hypervisor.images.load(io.BytesIO(archive), name)
    assert caught.value.hint
    eventually(lambda: lab.observer.resources() - before, lambda left: not left)


def test_a_layer_that_is_not_what_it_says(lab: Lab) -> None:
    """The configuration names another content than the layer has."""
    archive = oci_archive("x:1")
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        tarfile.open(fileobj=buffer, mode="w") as new,
    ):
        files = {entry.name: old.extractfile(entry).read() for entry in old}  # type: ignore[union-attr]
        index = json.loads(files["index.json"])
        manifest = json.loads(files[_path(index["manifests"][0]["digest"])])
        config = json.loads(files.pop(_path(manifest["config"]["digest"])))
        config["rootfs"]["diff_ids"] = [digest(b"something else")]
        manifest["config"] |= _put(files, config)
        index["manifests"][0] |= _put(files, manifest)
        files["index.json"] = json.dumps(index).encode()
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))
    with pytest.raises(InvalidInput, match="holds"):
        lab.hypervisor.images.load(io.BytesIO(buffer.getvalue()))


def _path(name: str) -> str:
    return f"blobs/{name.replace(':', '/')}"


def _put(files: dict[str, bytes], document: object) -> dict[str, object]:
    content = json.dumps(document).encode()
    files[_path(digest(content))] = content
    return {"digest": digest(content), "size": len(content)}


def test_missing(lab: Lab) -> None:
    with pytest.raises(NotFound, match="nothing:1"):
        lab.hypervisor.images.delete("nothing:1")
    assert IMAGE in _names(lab)


def test_a_full_disk() -> None:
    require_containerd()
    with Containerd(room=12 * MIB) as daemon:
        daemon.import_image()
        hypervisor = connect(daemon.url)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo("large")
            entry.size = 20 * MIB
            archive.addfile(entry, io.BytesIO(os.urandom(entry.size)))
        with pytest.raises(LimitExceeded) as caught:
            hypervisor.images.load(io.BytesIO(buffer.getvalue()), "large:1")
        assert caught.value.hint
        assert [image.name for image in hypervisor.images.images()] == [IMAGE]
        eventually(lambda: daemon.ctr("content", "active").splitlines()[1:], lambda left: not left)
        hypervisor.close()
