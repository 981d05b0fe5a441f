from __future__ import annotations

import io
import tarfile

import pytest

from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import InvalidInput, InvalidState, NotFound
from tests.containers.dockerd import IMAGE, RUNS, Dockerd, filesystem
from tests.drivers.docker.lab import made, running


def test_listed(docker: DockerHypervisor, engine: Dockerd) -> None:
    engine.run("tag", IMAGE, "again:2")
    made(docker)
    docker.snapshots.create("web", "not-an-image-to-start-from")
    found = docker.images.images()
    assert [image.name for image in found] == ["again:2", IMAGE]
    assert found[0].id == found[1].id
    assert found[1].size == engine.inspect(IMAGE)["Size"]
    assert found[1].created is not None


def test_a_filesystem_becomes_an_image(docker: DockerHypervisor) -> None:
    (image,) = docker.images.load(io.BytesIO(filesystem()), "own/system")
    assert image.name == "own/system:latest"
    assert image.id.startswith("sha256:")
    running(docker, image="own/system", command=RUNS)
    docker.lifecycle.stop("web")
    docker.lifecycle.delete("web")
    docker.images.delete("own/system:latest")
    assert [each.name for each in docker.images.images()] == [IMAGE]


def test_an_archive_of_images(docker: DockerHypervisor, engine: Dockerd) -> None:
    engine.run("tag", IMAGE, "kept:1")
    archive = engine.run("save", "kept:1").stdout
    engine.run("rmi", "kept:1")
    assert [image.name for image in docker.images.load(io.BytesIO(archive))] == ["kept:1"]


@pytest.mark.parametrize("name", ["", "new:1"])
@pytest.mark.parametrize("content", [b"", b"no archive", b"x" * 4000, filesystem()[:100_000]])
def test_what_is_none_is_refused_and_leaves_nothing(
    docker: DockerHypervisor, engine: Dockerd, name: str, content: bytes
) -> None:
    with pytest.raises(InvalidInput):
        docker.images.load(io.BytesIO(content), name)
    assert not engine.left()


def test_an_archive_without_images(docker: DockerHypervisor) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("file"))
    with pytest.raises(InvalidInput):
        docker.images.load(io.BytesIO(buffer.getvalue()))


def test_one_that_is_needed_stays(docker: DockerHypervisor, engine: Dockerd) -> None:
    with pytest.raises(NotFound):
        docker.images.delete("none:1")
    engine.run("import", "-", "own:1", input=filesystem())
    made(docker, image="own:1")
    with pytest.raises(InvalidState):
        docker.images.delete("own:1")
    assert "own:1" in [image.name for image in docker.images.images()]
