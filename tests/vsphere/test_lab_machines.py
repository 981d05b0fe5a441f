"""The lab's machines: snapshots and clones with content, power, datastore files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vsphere.client import Client, client, disks, finish, vim, wait_until
from tests.vsphere.lab import VsphereLab

MIB = 1 << 20
CONTENT = os.urandom(3 * MIB) + bytes(MIB)


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


@pytest.fixture
def machine(vsphere_lab: VsphereLab, session: Client, disk: Path) -> Iterator[Any]:
    vsphere_lab.add_vm(name="box", folder="prod/web", disks=[{"source": disk}])
    yield session.vm("prod/web/box")
    vsphere_lab.remove_vm("box")


def changed(lab: VsphereLab, offset: int) -> bytes:
    """The content after a guest wrote somewhere."""
    lab.write("box", 0, [{"offset": offset, "length": 1000, "seed": str(offset)}])
    return lab.content("box", 0)


def test_snapshots_keep_what_was_there(
    vsphere_lab: VsphereLab, session: Client, machine: Any
) -> None:
    first = session.snapshot(machine, "first")
    second_content = changed(vsphere_lab, 70_000)
    second = session.snapshot(machine, "second")
    live = changed(vsphere_lab, 3 * MIB)
    assert vsphere_lab.content("box", 0, "first") == CONTENT
    assert vsphere_lab.content("box", 0, "second") == second_content != CONTENT
    (device,) = disks(machine)
    assert device.backing.fileName == "[LocalDS_0] box/box-000002.vmdk"
    assert device.backing.parent.parent.fileName == "[LocalDS_0] box/box.vmdk"

    finish(first.RemoveSnapshot_Task(False))
    assert vsphere_lab.content("box", 0, "second") == second_content
    assert vsphere_lab.content("box", 0) == live
    finish(second.RevertToSnapshot_Task())
    assert vsphere_lab.content("box", 0) == second_content
    finish(machine.RemoveAllSnapshots_Task())
    assert vsphere_lab.content("box", 0) == second_content
    (device,) = disks(machine)
    assert (device.backing.fileName, device.backing.parent) == ("[LocalDS_0] box/box.vmdk", None)


def test_branches_of_snapshots(vsphere_lab: VsphereLab, session: Client, machine: Any) -> None:
    root = session.snapshot(machine, "root")
    left = changed(vsphere_lab, 0)
    session.snapshot(machine, "left")
    finish(root.RevertToSnapshot_Task())
    right = changed(vsphere_lab, MIB)
    session.snapshot(machine, "right")
    finish(root.RemoveSnapshot_Task(False))
    assert vsphere_lab.content("box", 0, "left") == left
    assert vsphere_lab.content("box", 0, "right") == right
    finish(machine.RemoveAllSnapshots_Task())
    assert vsphere_lab.content("box", 0) == right


def test_a_clone_has_the_content_and_goes_its_own_way(
    vsphere_lab: VsphereLab, session: Client, machine: Any
) -> None:
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False)
    finish(machine.Clone(machine.parent, "twin", spec))
    assert vsphere_lab.content("twin", 0) == CONTENT
    changed(vsphere_lab, 500)
    assert vsphere_lab.content("twin", 0) == CONTENT
    vsphere_lab.remove_vm("twin")


def test_a_disk_grows(vsphere_lab: VsphereLab, machine: Any) -> None:
    (device,) = disks(machine)
    device.capacityInKB = 8 * 1024
    device.capacityInBytes = 8 * MIB
    change = vim.vm.device.VirtualDeviceSpec(operation="edit", device=device)
    finish(machine.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change])))
    assert vsphere_lab.content("box", 0) == CONTENT + bytes(4 * MIB)


def test_a_guest_shuts_down_when_it_is_asked(
    vsphere_lab: VsphereLab, session: Client, disk: Path
) -> None:
    vsphere_lab.add_vm(name="polite", disks=[{"size": MIB}], running=True)
    vsphere_lab.add_vm(name="deaf", disks=[{"size": MIB}], running=True, deaf=True)
    vsphere_lab.add_vm(name="bare", disks=[{"size": MIB}], running=True, tools=False)
    polite = session.vm("polite")
    assert polite.guest.toolsRunningStatus == "guestToolsRunning"
    polite.RebootGuest()
    polite.ShutdownGuest()
    wait_until(lambda: polite.runtime.powerState == "poweredOff")
    assert polite.guest.toolsRunningStatus == "guestToolsNotRunning"
    session.vm("deaf").ShutdownGuest()
    assert session.vm("deaf").runtime.powerState == "poweredOn"
    with pytest.raises(vim.fault.ToolsUnavailable):
        session.vm("bare").ShutdownGuest()
    ticket = session.vm("bare").AcquireTicket("webmks")
    assert ticket.url.startswith("wss://")
    for name in ("polite", "deaf", "bare"):
        vsphere_lab.remove_vm(name)


def test_the_files_of_a_datastore(vsphere_lab: VsphereLab, session: Client, machine: Any) -> None:
    url = f"https://{vsphere_lab.address}/folder/box/box-flat.vmdk?dcPath=DC0&dsName=LocalDS_0"
    status, headers, body = session.request("GET", url, {"Range": "bytes=1000-69999"})
    assert (status, headers["Content-Range"]) == (206, f"bytes 1000-69999/{len(CONTENT)}")
    assert body == CONTENT[1000:70_000]
    status, headers, body = session.request("HEAD", url)
    assert (status, headers["Content-Length"], body) == (200, str(len(CONTENT)), b"")
    assert session.request("GET", url, {"Range": f"bytes={len(CONTENT)}-"})[0] == 416
    # A wrong password beside the cookie counts: the header comes first.
    assert session.request("GET", url, {"Authorization": "Basic bGFiOndyb25n"})[0] == 401
    assert session.request("GET", url, {"Authorization": "Basic bGFiOmxhYg=="})[0] == 200
    finish(machine.PowerOn())
    assert session.request("GET", url)[0] == 403


def test_all_kinds_of_devices(vsphere_lab: VsphereLab, session: Client) -> None:
    vsphere_lab.add_vm(
        name="odd",
        disks=[
            {"size": MIB, "mode": "independent_persistent"},
            {"size": MIB, "shared": True},
            {"size": MIB, "rdm": "physicalMode"},
        ],
        devices=["usb", "tpm", "pci", "cdrom"],
        extra={"owner": "tests"},
        snapshots=2,
    )
    odd = session.vm("odd")
    modes = [disk.backing.diskMode for disk in disks(odd)]
    assert modes == ["independent_persistent", "persistent", "persistent"]
    assert disks(odd)[1].backing.sharing == "sharingMultiWriter"
    assert disks(odd)[2].backing.compatibilityMode == "physicalMode"
    kinds = {
        type(device).__name__.rsplit(".", maxsplit=1)[-1] for device in odd.config.hardware.device
    }
    assert {"VirtualTPM", "VirtualUSB", "VirtualPCIPassthrough", "VirtualCdrom"} <= kinds
    assert [one["name"] for one in vsphere_lab.state()["snapshots"]] == ["snapshot-1", "snapshot-2"]
    vsphere_lab.remove_vm("odd")


def test_a_machine_moves_to_another_host(
    vsphere_lab: VsphereLab, session: Client, machine: Any
) -> None:
    before = machine.runtime.host.name
    after = vsphere_lab.move("box")
    assert after != before
    assert machine.runtime.host.name == after
    assert vsphere_lab.move("box", before) == before
