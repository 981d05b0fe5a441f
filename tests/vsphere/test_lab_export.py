"""The lab's leases: real bytes, states, timeout, digests, and the locks they keep."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components import require
from tests.vsphere.client import Client, client, ready, vim, vmodl, wait_until
from tests.vsphere.lab import VsphereLab

MIB = 1 << 20
CONTENT = os.urandom(2 * MIB) + bytes(3 * MIB) + b"guest " * 100_000
CONTENT += bytes(8 * MIB - len(CONTENT))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disks") / "disk.raw"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def session(vsphere_lab: VsphereLab) -> Iterator[Client]:
    with client(vsphere_lab) as opened:
        yield opened
    vsphere_lab.clear_faults()


def unpacked(stream: bytes, folder: Path) -> bytes:
    """What QEMU makes of a stream: a second opinion on the format."""
    require("qemu-img")
    packed, raw = folder / "stream.vmdk", folder / "stream.raw"
    packed.write_bytes(stream)
    subprocess.run(["qemu-img", "convert", "-O", "raw", packed, raw], check=True)
    return raw.read_bytes()


def test_a_lease_gives_every_disk_whole(
    vsphere_lab: VsphereLab, session: Client, disk: Path, tmp_path: Path
) -> None:
    made = vsphere_lab.add_vm(
        name="whole", disks=[{"source": disk}, {"size": 4 * MIB}], devices=["cdrom"], firmware="efi"
    )
    lease = ready(session.vm("whole").ExportVm())
    first, second, image, variables = lease.info.deviceUrl
    assert first.key == f"/{made['vm']}/ParaVirtualSCSIController0:0"
    assert (first.disk, first.targetId) == (True, "disk-0.vmdk")
    assert first.sslThumbprint.count(":") == 19
    # An image in a drive has no target: clients leave it out.
    assert (image.disk, image.targetId) == (False, None)
    assert variables.targetId.endswith(".nvram")
    assert lease.info.totalDiskCapacityInKB == 12 * 1024

    lease.HttpNfcLeaseSetManifestChecksumType([vim.KeyValue(key=first.url, value="sha256")])
    status, headers, stream = session.request("GET", first.url, {"Range": "bytes=0-9"})
    assert (status, headers["Transfer-Encoding"]) == (200, "chunked")
    assert "Content-Length" not in headers
    assert unpacked(stream, tmp_path) == CONTENT
    assert unpacked(session.request("GET", second.url)[2], tmp_path) == bytes(4 * MIB)

    entry, other = lease.HttpNfcLeaseGetManifest()
    assert (entry.checksumType, entry.checksum) == ("sha256", hashlib.sha256(stream).hexdigest())
    assert (entry.sha1, entry.size) == (hashlib.sha1(stream).hexdigest(), len(stream))
    assert (entry.capacity, other.checksumType) == (len(CONTENT), "sha1")
    lease.HttpNfcLeaseComplete()
    assert lease.state == "done"
    assert session.request("GET", first.url)[0] == 404
    vsphere_lab.remove_vm("whole")


def test_a_machine_is_locked_while_its_lease_lives(
    vsphere_lab: VsphereLab, session: Client
) -> None:
    vsphere_lab.add_vm(name="locked", disks=[{"size": MIB}])
    machine = session.vm("locked")
    lease = ready(machine.ExportVm())
    for call in (machine.PowerOn, machine.ExportVm, machine.Destroy):
        with pytest.raises(vim.fault.TaskInProgress):
            call()
    assert [(one["vm"], one["kind"]) for one in vsphere_lab.state()["leases"]] == [
        ("locked", "export")
    ]
    lease.HttpNfcLeaseAbort(None)
    assert lease.state == "error"
    assert vsphere_lab.state()["leases"] == []
    vsphere_lab.remove_vm("locked")


def test_a_running_machine_is_exported_by_its_snapshot(
    vsphere_lab: VsphereLab, session: Client, disk: Path, tmp_path: Path
) -> None:
    vsphere_lab.add_vm(name="runs", disks=[{"source": disk}], running=True)
    machine = session.vm("runs")
    with pytest.raises(vim.fault.InvalidPowerState):
        machine.ExportVm()
    taken = session.snapshot(machine, "before")
    vsphere_lab.write("runs", 0, [{"offset": 100, "length": 70_000, "seed": "after"}])
    lease = ready(taken.ExportSnapshot())
    stream = session.request("GET", lease.info.deviceUrl[0].url)[2]
    assert unpacked(stream, tmp_path) == CONTENT
    with pytest.raises(vim.fault.TaskInProgress):
        taken.RemoveSnapshot_Task(False)
    lease.HttpNfcLeaseComplete()
    vsphere_lab.remove_vm("runs")


def test_a_silent_lease_ends(tmp_path: Path) -> None:
    with VsphereLab.start(tmp_path / "lab", lease_timeout=1) as lab, client(lab) as session:
        lab.add_vm(name="silent", disks=[{"size": MIB}])
        lease = ready(session.vm("silent").ExportVm())
        assert lease.info.leaseTimeout == 1
        wait_until(lambda: lease.state == "error")
        assert isinstance(lease.error, vim.fault.Timedout)
        with pytest.raises(vim.fault.Timedout):
            lease.HttpNfcLeaseProgress(50)
        ready(session.vm("silent").ExportVm()).HttpNfcLeaseComplete()


def test_an_esxi_host_leaves_its_name_to_the_client(tmp_path: Path) -> None:
    with VsphereLab.start(tmp_path / "lab", esx=True) as lab, client(lab) as session:
        assert session.content.about.apiType == "HostAgent"
        lab.add_vm(name="alone", disks=[{"size": MIB}])
        lease = ready(session.vm("alone").ExportVm())
        assert lease.info.deviceUrl[0].url.startswith("https://*/")
        assert session.request("GET", lease.info.deviceUrl[0].url)[0] == 200
        lease.HttpNfcLeaseComplete()


def test_nothing_is_told_without_a_session(vsphere_lab: VsphereLab) -> None:
    with client(vsphere_lab) as session:
        vsphere_lab.fault("session_loss")
        with pytest.raises(vim.fault.NotAuthenticated):
            _ = session.content.rootFolder.name
    assert vsphere_lab.state()["sessions"] == []


def test_faults_of_calls_name_what_is_missing(vsphere_lab: VsphereLab, session: Client) -> None:
    vsphere_lab.add_vm(name="refused", disks=[{"size": MIB}])
    vsphere_lab.fault("soap_fault", method="ExportVm", fault="NoPermission", vm="refused")
    with pytest.raises(vim.fault.NoPermission) as caught:
        session.vm("refused").ExportVm()
    assert caught.value.privilegeId == "VApp.Export"
    vsphere_lab.fault("soap_fault", method="ExportVm", fault="HostCommunication")
    with pytest.raises(vmodl.fault.HostCommunication):
        session.vm("refused").ExportVm()
    ready(session.vm("refused").ExportVm()).HttpNfcLeaseComplete()
    vsphere_lab.remove_vm("refused")
