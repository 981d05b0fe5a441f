"""The lab's imports and descriptors, and govc as a second client of all that."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.components import require
from tests.vsphere.build import govc_program
from tests.vsphere.client import Client, client, disks, ready, vim, wait_until
from tests.vsphere.lab import PASSWORD, VsphereLab

MIB = 1 << 20
CONTENT = os.urandom(MIB) + bytes(2 * MIB) + b"config " * 50_000
CONTENT += bytes(4 * MIB - len(CONTENT))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disks") / "disk.raw"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def session(vsphere_lab: VsphereLab) -> Iterator[Client]:
    with client(vsphere_lab) as opened:
        yield opened


@pytest.fixture
def exported(vsphere_lab: VsphereLab, session: Client, disk: Path) -> Iterator[tuple[str, bytes]]:
    """A descriptor, and the stream of its only disk."""
    vsphere_lab.add_vm(
        name="origin", disks=[{"source": disk}], nics=[{"network": "DC0_DVPG0"}], firmware="efi"
    )
    machine = session.vm("origin")
    lease = ready(machine.ExportVm())
    url = lease.info.deviceUrl[0]
    stream = session.request("GET", url.url)[2]
    lease.HttpNfcLeaseComplete()
    files = [vim.OvfManager.OvfFile(deviceId=url.key, path="origin.vmdk", size=len(stream))]
    made = session.content.ovfManager.CreateDescriptor(
        machine, vim.OvfManager.CreateDescriptorParams(ovfFiles=files, name="origin")
    )
    yield made.ovfDescriptor, stream
    vsphere_lab.remove_vm("origin")


def begin(session: Client, descriptor: str, name: str) -> Any:
    (datacenter,) = session.content.rootFolder.childEntity
    pool = datacenter.hostFolder.childEntity[0].resourcePool
    spec = session.content.ovfManager.CreateImportSpec(
        descriptor,
        pool,
        datacenter.datastore[0],
        vim.OvfManager.CreateImportSpecParams(
            entityName=name, locale="", deploymentOption="", diskProvisioning="thin"
        ),
    )
    assert not spec.error
    lease = ready(pool.ImportVApp(spec.importSpec, datacenter.vmFolder))
    assert [item.deviceId for item in spec.fileItem] == [lease.info.deviceUrl[0].importKey]
    return lease


def test_a_descriptor_names_the_files(exported: tuple[str, bytes]) -> None:
    descriptor, stream = exported
    assert f'ovf:href="origin.vmdk" ovf:id="file1" ovf:size="{len(stream)}"' in descriptor
    assert f'ovf:capacity="{len(CONTENT)}"' in descriptor
    assert 'vmw:key="firmware" vmw:value="efi"' in descriptor
    assert "<rasd:Connection>DC0_DVPG0</rasd:Connection>" in descriptor


def test_a_stream_comes_back_as_a_disk(
    vsphere_lab: VsphereLab, session: Client, exported: tuple[str, bytes]
) -> None:
    descriptor, stream = exported
    lease = begin(session, descriptor, "copy")
    with pytest.raises(vim.fault.TaskInProgress):
        session.vm("copy").PowerOn()
    assert session.request("POST", lease.info.deviceUrl[0].url, body=stream)[0] == 201
    (entry,) = lease.HttpNfcLeaseGetManifest()
    assert (entry.size, entry.capacity) == (len(stream), len(CONTENT))
    lease.HttpNfcLeaseComplete()
    assert vsphere_lab.content("copy", 0) == CONTENT
    (device,) = disks(session.vm("copy"))
    assert device.backing.thinProvisioned is True
    assert session.vm("copy").config.firmware == "efi"
    (upload,) = [one for one in vsphere_lab.state()["uploads"] if one["vm"] == "copy"]
    assert upload["size"] == len(stream)
    vsphere_lab.remove_vm("copy")


def test_an_import_that_is_aborted_leaves_nothing(
    vsphere_lab: VsphereLab, session: Client, exported: tuple[str, bytes]
) -> None:
    descriptor, stream = exported
    lease = begin(session, descriptor, "undone")
    assert session.request("POST", lease.info.deviceUrl[0].url, body=stream[:-600])[0] == 500
    lease.HttpNfcLeaseAbort(None)
    wait_until(lambda: "undone" not in {one["name"] for one in vsphere_lab.state()["machines"]})
    assert vsphere_lab.state()["leases"] == []


def test_govc_exports_and_imports(vsphere_lab: VsphereLab, disk: Path, tmp_path: Path) -> None:
    require("qemu-img")
    vsphere_lab.add_vm(name="theirs", disks=[{"source": disk}, {"size": MIB}], devices=["cdrom"])
    environment = os.environ | {
        "GOVC_URL": vsphere_lab.sdk, "GOVC_USERNAME": vsphere_lab.user, "GOVC_PASSWORD": PASSWORD,
        "GOVC_INSECURE": "1", "GOVC_PERSIST_SESSION": "false", "GOVC_DATASTORE": "LocalDS_0",
    }  # fmt: skip

    def govc(*words: str) -> None:
        subprocess.run([govc_program(), *words], env=environment, check=True, capture_output=True)

    govc("export.ovf", "-vm", "theirs", "-sha", "256", str(tmp_path))
    folder = tmp_path / "theirs"
    subprocess.run(
        ["qemu-img", "compare", "-f", "vmdk", folder / "theirs-disk-0.vmdk", disk], check=True
    )
    govc("import.ovf", "-name", "brought", str(folder / "theirs.ovf"))
    assert vsphere_lab.content("brought", 0) == CONTENT
    assert vsphere_lab.content("brought", 1) == bytes(MIB)
    assert vsphere_lab.state()["leases"] == []
    for name in ("theirs", "brought"):
        vsphere_lab.remove_vm(name)
