from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypersdk.drivers.containerd.api.services.version.v1.version_pb2 import VersionResponse
from hypersdk.drivers.containerd.driver import connect
from hypersdk.model.errors import HypervisorUnreachable, MissingRequirement, NotFound
from tests.drivers.containerd.answering import answering
from tests.drivers.containerd.lab import Lab


def test_an_old_one_is_refused(tmp_path: Path) -> None:
    with (
        answering(tmp_path / "s", lambda *_: VersionResponse(version="v1.5.18", revision="x")),
        pytest.raises(MissingRequirement, match=r"is containerd v1\.5\.18") as caught,
    ):
        connect(f"containerd://{tmp_path}/s")
    assert "1.6" in caught.value.hint


def test_another_grpc_server_is_not_containerd(tmp_path: Path) -> None:
    with (
        answering(tmp_path / "s", None),
        pytest.raises(HypervisorUnreachable, match="is not containerd"),
    ):
        connect(f"containerd://{tmp_path}/s")


def test_info_is_observed(lab: Lab) -> None:
    before = lab.hypervisor.host.info()
    lab.running()
    info = lab.hypervisor.host.info()
    assert info.product == "containerd"
    assert info.version in lab.daemon.ctr("version")
    assert info.active_instances == before.active_instances + 1
    assert info.name == os.uname().nodename
    assert info.vcpus == os.cpu_count()
    assert 0 < info.memory_available < info.memory
    assert info.storage_available is not None
    assert info.storage_available > 0


def test_snapshotters_are_chosen_by_name(lab: Lab) -> None:
    native = connect(f"{lab.daemon.url}&snapshotter=native")
    native.lifecycle.create(lab.spec("plain"))
    assert '"Snapshotter": "native"' in lab.daemon.ctr("containers", "info", "plain")
    native.lifecycle.start("plain")
    native.execution.run("plain", ("sh", "-c", "echo one >/data"))
    native.snapshots.create("plain", "first")
    native.execution.run("plain", ("sh", "-c", "echo two >/data"))
    # Any connection works on it, whatever its own snapshotter is.
    lab.hypervisor.snapshots.revert("plain", "first")
    assert lab.shell("cat /data", "plain") == b"one\n"
    lab.hypervisor.lifecycle.stop("plain", force=True)
    native.lifecycle.delete("plain")
    native.close()


def test_a_missing_snapshotter(lab: Lab) -> None:
    with pytest.raises(NotFound, match="no snapshotter 'zfs'") as caught:
        connect(f"{lab.daemon.url}&snapshotter=zfs")
    assert "overlayfs" in caught.value.hint
