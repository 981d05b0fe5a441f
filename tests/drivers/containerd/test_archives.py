from __future__ import annotations

import io
import tarfile

import pytest

from hypersdk.conformance.targets.busybox import OBEDIENT
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import MountSpec
from tests.drivers.containerd.lab import Lab, eventually


def _exported(lab: Lab, name: str = "web") -> tuple[dict[str, tarfile.TarInfo], bytes]:
    target = io.BytesIO()
    assert lab.hypervisor.archives.export(name, target) == len(target.getvalue())
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        return {entry.name.strip("/"): entry for entry in archive}, target.getvalue()


def test_a_running_one_with_what_it_wrote(lab: Lab) -> None:
    before = lab.observer.resources()
    lab.running(mounts=(MountSpec(source="data", target="/data"),))
    lab.shell("echo inside >/word; echo no >/data/volume; rm /etc/group; touch /x; ")
    entries, archive = _exported(lab)
    assert lab.state() is InstanceState.RUNNING
    assert {"bin/busybox", "word", "etc/passwd"} <= entries.keys()
    assert entries["bin/busybox"].mode & 0o777 == 0o755
    assert entries["bin/sh"].linkname == "busybox"
    assert not {"etc/group", "data/volume"} & entries.keys()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = tar.extractfile("word")
        assert found is not None
        assert found.read() == b"inside\n"
    # The copy that was made for it goes; what stays is the running instance alone.
    eventually(
        lambda: {line.split()[0] for line in lab.observer.resources() - before},
        lambda kinds: "content" not in kinds and "lease" not in kinds,
    )


def test_a_stopped_one_becomes_an_image_again(lab: Lab) -> None:
    lab.running()
    lab.shell("echo kept >/word")
    lab.hypervisor.lifecycle.stop("web", force=True)
    _, archive = _exported(lab)
    lab.hypervisor.images.load(io.BytesIO(archive), "lab.test/back:1")
    lab.running("again", image="lab.test/back:1", command=OBEDIENT)
    assert lab.shell("cat /word", "again") == b"kept\n"


def test_a_target_that_fails_leaves_nothing(lab: Lab) -> None:
    class _Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    lab.running()
    before = lab.observer.resources()
    with pytest.raises(OSError, match="No space"):
        lab.hypervisor.archives.export("web", _Full())  # type: ignore[arg-type]
    assert lab.state() is InstanceState.RUNNING
    eventually(lambda: lab.observer.resources() - before, lambda left: not left)


def test_missing(lab: Lab) -> None:
    with pytest.raises(InstanceNotFound):
        lab.hypervisor.archives.export("nobody", io.BytesIO())
