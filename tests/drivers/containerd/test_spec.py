from __future__ import annotations

import io
import os

import pytest

from hypersdk.conformance.targets.busybox import oci_archive
from hypersdk.drivers.containerd.spec import environment, facts, packed, quota
from hypersdk.model.errors import InvalidInput
from tests.drivers.containerd.lab import Lab


def test_the_image_says_what_to_run_unless_told(lab: Lab) -> None:
    settings = {
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["echo from the image; pwd"],
        "WorkingDir": "/tmp",
    }
    lab.hypervisor.images.load(io.BytesIO(oci_archive("lab.test/e:1", settings=settings)))
    lab.running("one", image="lab.test/e:1")
    lab.running("two", image="lab.test/e:1", command=("echo from the spec",))
    for name, said in (("one", b"from the image\n/tmp\n"), ("two", b"from the spec\n")):
        lab.hypervisor.lifecycle.stop(name)
        assert lab.hypervisor.logs.read(name) == said


def test_nothing_to_run(lab: Lab) -> None:
    lab.hypervisor.images.load(io.BytesIO(oci_archive("lab.test/n:1", ())))
    with pytest.raises(InvalidInput, match="what to run"):
        lab.created(image="lab.test/n:1")


def test_variables_of_the_spec_win() -> None:
    found = environment(["A=1", "B=x=y"], {"A": "2", "C": ""})
    assert found == ["A=2", "B=x=y", "C="]


@pytest.mark.parametrize(
    ("processors", "microseconds"), [(1, 100_000), (0.5, 50_000), (0.001, 1000)]
)
def test_quota(processors: float, microseconds: int) -> None:
    assert quota(processors) == microseconds


@pytest.mark.parametrize(
    "value", [b"", b"no json", b"[]", b'{"annotations": {"hypersdk/vcpus": "x"}}']
)
def test_specs_of_others_may_be_anything(value: bytes) -> None:
    assert facts(value).vcpus == (os.cpu_count() or 1)
    assert facts(value).memory > 0


def test_limits_of_others_are_read() -> None:
    resources = {"cpu": {"quota": 150_000, "period": 100_000}, "memory": {"limit": 5 << 20}}
    found = facts(packed("", {"linux": {"resources": resources}}).value)
    assert (found.vcpus, found.memory) == (2, 5 << 20)
