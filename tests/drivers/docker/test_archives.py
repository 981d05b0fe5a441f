from __future__ import annotations

import io
import tarfile

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import InstanceNotFound, Interrupted
from tests.containers.dockerd import Dockerd
from tests.drivers.docker.lab import running, volume


def test_the_filesystem_without_volumes(docker: DockerHypervisor, engine: Dockerd) -> None:
    running(docker, **volume("web-data"))
    engine.sh("web", "echo content > /file; echo elsewhere > /data/other")
    target = io.BytesIO()
    assert docker.archives.export("web", target) == len(target.getvalue())
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        names = archive.getnames()
        file = archive.extractfile("file")
        assert file is not None
        assert file.read() == b"content\n"
    assert "data" in names
    assert "data/other" not in names


def test_missing_and_cancelled(docker: DockerHypervisor) -> None:
    with pytest.raises(InstanceNotFound):
        docker.archives.export("web", io.BytesIO())
    running(docker)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Interrupted), token.scope():
        docker.archives.export("web", io.BytesIO())
