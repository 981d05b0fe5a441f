from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor, connect
from hypersdk.model.errors import AlreadyExists, InvalidInput, NotFound
from hypersdk.model.resources import Network
from hypersdk.model.specs import (
    CloudInit,
    DiskSpec,
    InstanceSpec,
    MountSpec,
    NicSpec,
    PortSpec,
)
from hypersdk.model.units import GIB, MIB


def test_all_that_was_asked_for_is_kept(mock: MockHypervisor, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"x")
    mock.networks.create_network(Network("lan"))
    mock.lifecycle.create(
        InstanceSpec(
            name="app",
            vcpus=2,
            vcpus_maximum=4,
            cpu_weight=200,
            cpu_limit=1.5,
            memory=GIB,
            memory_maximum=2 * GIB,
            disks=(DiskSpec(size=MIB, bus="scsi"),),
            nics=(NicSpec(network="lan", mac="52:54:00:00:00:01"),),
            firmware="uefi",
            cdrom=str(image),
            cloud_init=CloudInit(hostname="app", ssh_keys=("ssh-ed25519 A",)),
            tags={"tier": "gold"},
            folder="prod/web",
            kernel=str(image),
            kernel_arguments="quiet",
            image="busybox",
            command=("sleep", "1"),
            env={"A": "b"},
            pids_limit=100,
        )
    )
    found = connect(mock.url).inventory.instance("app")
    assert (found.owned, found.folder, found.image) == (True, "prod/web", "busybox")
    raw: dict[str, Any] = json.loads(
        (Path(found.disks[0].path).parents[1] / "definition.json").read_text()
    )
    assert (raw["cpu_weight"], raw["cpu_limit"], raw["pids_limit"]) == (200, 1.5, 100)
    assert (raw["vcpus_maximum"], raw["memory_maximum"]) == (4, 2 * GIB)
    assert raw["disks"][0]["bus"] == "scsi"
    assert raw["nics"][0]["mac"] == "52:54:00:00:00:01"
    assert (raw["env"], raw["drives"]) == ({"A": "b"}, {"sda": str(image)})
    assert raw["settings"]["firmware"] == "uefi"
    assert raw["settings"]["command"] == ["sleep", "1"]
    assert raw["settings"]["cloud_init"]["hostname"] == "app"


def test_what_is_made_otherwise_is_not_ours(mock: MockHypervisor) -> None:
    assert not mock.inventory.instance("web").owned


@pytest.mark.parametrize(
    "spec",
    [
        InstanceSpec(name=" "),
        InstanceSpec(name="app", vcpus=0),
        InstanceSpec(name="app", acceleration="kvm"),
        InstanceSpec(name="app", firmware="coreboot"),
        InstanceSpec(name="app", mounts=(MountSpec(source="/srv", target="/srv"),)),
        InstanceSpec(name="app", ports=(PortSpec(host=80, inside=80),)),
        InstanceSpec(name="app", disks=(DiskSpec(format="vmdk"),)),
        InstanceSpec(name="app", disks=(DiskSpec(bus="ide"),)),
        InstanceSpec(name="app", disks=(DiskSpec(name="a/b"),)),
        InstanceSpec(name="app", nics=(NicSpec(mac="nonsense"),)),
        InstanceSpec(name="app", cdrom="relative.iso"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(
    mock: MockHypervisor, spec: InstanceSpec
) -> None:
    with pytest.raises(InvalidInput):
        mock.lifecycle.create(spec)
    assert [each.name for each in mock.inventory.instances()] == ["web"]


def test_files_must_be_there(mock: MockHypervisor) -> None:
    for spec in (
        InstanceSpec(name="app", cdrom="/nowhere.iso"),
        InstanceSpec(name="app", kernel="/nowhere"),
        InstanceSpec(name="app", initrd="/nowhere"),
        InstanceSpec(name="app", disks=(DiskSpec(path=str(mock._path / "kept" / "x.raw")),)),
    ):
        with pytest.raises(NotFound):
            mock.lifecycle.create(spec)
    nic = NicSpec(mac="52:54:00:00:00:01")
    with pytest.raises(AlreadyExists):
        mock.lifecycle.create(InstanceSpec(name="app", nics=(nic, nic)))


def test_a_disk_that_was_kept_can_be_used_again(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"precious")
    mock.lifecycle.stop("web")
    mock.lifecycle.delete("web")
    (path,) = (mock._path / "kept").iterdir()
    with pytest.raises(InvalidInput, match="has 4194304 bytes"):
        mock.lifecycle.create(InstanceSpec(name="app", disks=(DiskSpec(path=str(path), size=MIB),)))
    mock.lifecycle.create(InstanceSpec(name="app", disks=(DiskSpec(path=str(path)),)))
    assert not path.exists()
    with mock.guest("app", "vda") as guest:
        assert guest.read(0, 8) == b"precious"
