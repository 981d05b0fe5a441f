from __future__ import annotations

import io

import pytest

from hypersdk.conformance.targets.busybox import oci_archive
from hypersdk.model.errors import InvalidInput
from tests.drivers.containerd.lab import Lab


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("", b"uid=0(root) gid=0(root)"),
        ("1000", b"uid=1000(lab) gid=1001(lab)"),
        ("5", b"uid=5 gid=0(root)"),
        ("5:6", b"uid=5 gid=6"),
        ("lab", b"uid=1000(lab) gid=1001(lab) groups=1002(more)"),
        ("lab:more", b"uid=1000(lab) gid=1002(more)"),
        ("lab:7", b"uid=1000(lab) gid=7"),
    ],
)
def test_first_processes_run_as_their_image_says(lab: Lab, user: str, said: bytes) -> None:
    lab.hypervisor.images.load(io.BytesIO(oci_archive("lab.test/u:1", settings={"User": user})))
    lab.running(image="lab.test/u:1")
    assert said in lab.shell("id")


@pytest.mark.parametrize("user", ["nobody-here", "lab:nothing"])
def test_unknown_names(lab: Lab, user: str) -> None:
    lab.hypervisor.images.load(io.BytesIO(oci_archive("lab.test/u:1", settings={"User": user})))
    before = lab.observer.resources()
    with pytest.raises(InvalidInput, match="numeric"):
        lab.created(image="lab.test/u:1")
    assert lab.observer.resources() == before
