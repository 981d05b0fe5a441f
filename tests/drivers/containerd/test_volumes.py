from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypersdk.drivers.containerd.address import Address
from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import Container
from hypersdk.drivers.containerd.spec import packed
from hypersdk.drivers.containerd.volumes import Volumes
from hypersdk.model.errors import InvalidInput, LimitExceeded
from hypersdk.model.specs import MountSpec


def _using(name: str, *sources: str) -> Container:
    mounts = [{"source": source, "destination": "/x"} for source in ("proc", *sources)]
    return Container(id=name, spec=packed("", {"mounts": mounts}))


def test_a_volume_stays_while_another_uses_it(tmp_path: Path) -> None:
    volumes = Volumes(Address(namespace="lab", folder=str(tmp_path)))
    mounted = [
        volumes.mounted(MountSpec(source=source, target="/x"))
        for source in ("data", "more", str(tmp_path))
    ]
    made = volumes.make(mounted)
    assert made == [f"{tmp_path}/lab/volumes/data", f"{tmp_path}/lab/volumes/more"]
    assert volumes.make(mounted) == []
    one = _using("one", *(mount.source for mount in mounted))
    assert list(volumes.of(one)) == made
    volumes.remove(one, [_using("two", made[0])])
    assert os.listdir(tmp_path / "lab/volumes") == ["data"]
    assert tmp_path.exists()  # a folder of the host is nobody's volume


@pytest.mark.parametrize("source", ["../x", "a/b", "", "a b", "/nonexistent/x"])
def test_what_is_no_volume(tmp_path: Path, source: str) -> None:
    with pytest.raises(InvalidInput):
        Volumes(Address(folder=str(tmp_path))).mounted(MountSpec(source=source, target="/x"))


def test_no_room(tmp_path: Path) -> None:
    (tmp_path / "default").touch()  # a file where the folder should be
    volumes = Volumes(Address(folder=str(tmp_path)))
    with pytest.raises(LimitExceeded, match="cannot be made"):
        volumes.make([volumes.mounted(MountSpec(source="data", target="/x"))])
