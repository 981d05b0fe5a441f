"""Packages become instances: what was exported comes back as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk import MockHypervisor, connect, load_spec
from hypersdk.cli.hyperexport.exits import Exit
from hypersdk.model.resources import Network
from tests.cli.hyperexport.conftest import Export

MIB = 1 << 20


@pytest.fixture
def other(tmp_path: Path) -> str:
    """Another hypervisor."""
    (tmp_path / "other").mkdir()
    return f"mock://{tmp_path}/other"


def content(hypervisor: MockHypervisor, name: str, disk: int = 0) -> bytes:
    assert hypervisor.inventory
    names = [each.name for each in hypervisor.inventory.instance(name).disks]
    with hypervisor.guest(name, names[disk]) as guest:
        return guest.read(0, 8 * MIB)


def opened(url: str) -> MockHypervisor:
    found = connect(url)
    assert isinstance(found, MockHypervisor)
    return found


@pytest.mark.parametrize("file", ["db.ovf", "db.ova"])
def test_there_and_back(
    export: Export, lab: MockHypervisor, other: str, file: str, work: Path
) -> None:
    export("db", "--format", file[-3:], "--output", "here", "--quiet")
    result = export.plain("import", f"here/{file}", "-H", other, "--json")
    assert result.json["verified"]
    back = opened(other)
    for disk in range(2):
        assert content(back, "db", disk) == content(lab, "db", disk)


def test_an_image(export: Export, lab: MockHypervisor, other: str) -> None:
    export("web", "--format", "qcow2", "--output", "here", "--quiet")
    line = ("import", "here/web-disk-0.qcow2", "-H", other, "--name", "web2")
    more = ("--vcpus", 3, "--memory", "2GiB", "--firmware", "bios", "--bus", "virtio")
    assert "web2: imported to " in export.plain(*line, *more).out
    assert content(opened(other), "web2") == content(lab, "web")
    inventory = opened(other).inventory
    assert inventory
    assert inventory.instance("web2").vcpus == 3
    assert inventory.instance("web2").memory == 2 << 30


def test_quiet_start_and_folder(export: Export, other: str) -> None:
    export("web", "--quiet")
    more = ("--start", "--folder", "prod", "--parallel", 1, "--throttle", "1GiB/s", "--keep-mac")
    result = export.plain("import", "export-web/web.ovf", "-H", other, *more, "--quiet")
    assert result.out.startswith("success: web imported to mock://")
    inventory = opened(other).inventory
    assert inventory
    assert inventory.instance("web").state.value == "running"
    assert inventory.instance("web").folder == "prod"


def test_an_encrypted_one(export: Export, other: str, work: Path) -> None:
    (work / "key").write_text("battery staple\n")
    export("web", "--format", "ova", "--encrypt", "--keyfile", "key", "--quiet")
    line = ("import", "export-web/web.ova.age", "-H", other)
    export.plain(*line, "--keyfile", "key")
    assert opened(other).inventory


def test_one_of_that_name_is_there(export: Export) -> None:
    export("web", "--quiet")
    line = ("import", "export-web/web.ovf", "-H", export.url)
    result = export.plain(*line, expect=Exit.CONCERNS)
    assert "web" in result.err
    export.plain(*line, "--force", expect=Exit.EXISTS)


def test_a_damaged_package(export: Export, other: str, work: Path) -> None:
    export("web", "--quiet")
    path = work / "export-web" / "web-disk-0.vmdk"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = export.plain("import", "export-web/web.ovf", "-H", other, expect=Exit.DAMAGED)
    assert "web-disk-0.vmdk" in result.err
    inventory = opened(other).inventory
    assert inventory
    assert list(inventory.instances()) == []
    assert "web-disk-0.vmdk" in export.plain("verify", "export-web", expect=Exit.DAMAGED).err


def test_verify_says_what_it_read(export: Export) -> None:
    export("web", "--quiet")
    assert "export-web: " in export.plain("verify", "export-web").out
    assert export.plain("verify", "export-web", "--json").json["files"]["web.ovf"] > 0
    assert export.plain("-quiet", "verify", "export-web").out.startswith("verified: export-web (")


def test_a_manifest_is_verified(export: Export, work: Path) -> None:
    export("web", "--manifest", "--format", "raw", "--quiet")
    manifest = "export-web/artifact-manifest.json"
    assert "all as it says" in export("--verify-manifest", manifest).out
    document = export("--verify-manifest", manifest, "--json").json
    assert document["disks"][0]["compared"]
    with (work / "export-web" / "web-disk-0.raw").open("r+b") as file:
        file.write(b"x")
    result = export("--verify-manifest", manifest, expect=Exit.DAMAGED)
    assert "web-disk-0.raw" in result.err
    (work / "wrong.json").write_text('{"manifest_version": "1.0", "diskz": []}')
    assert "Did you mean disks?" in export("--verify-manifest", "wrong.json", expect=2).err
    refused = export("web", "--manifest", "--no-manifest-checksum", expect=Exit.USAGE)
    assert "without checksums" in refused.err


def test_something_that_is_no_package(export: Export, other: str, work: Path) -> None:
    (work / "text.ovf").write_text("hello")
    export.plain("import", "text.ovf", "-H", other, expect=Exit.CONCERNS)
    export.plain("import", "none.ovf", "-H", other, expect=Exit.CONCERNS)


def test_networks_that_are_called_otherwise(
    export: Export, lab: MockHypervisor, other: str
) -> None:
    there = opened(other)
    assert lab.networks
    assert lab.lifecycle
    assert there.networks
    lab.networks.create_network(Network("lan"))
    there.networks.create_network(Network("default"))
    spec = {"name": "net", "nics": [{"network": "lan"}], "disks": [{"size": "1MiB"}]}
    lab.lifecycle.create(load_spec(spec))
    export("net", "--quiet")
    line = ("import", "export-net/net.ovf", "-H", other)
    export.plain(*line, "--map-network", "lan=default", "--quiet")
    result = export.plain(*line, "--name", "b", "--map-network", "lan", expect=Exit.USAGE)
    assert "--map-network lan=default" in result.err


def test_storage_that_is_not_there(export: Export, other: str) -> None:
    export("web", "--quiet")
    line = ("import", "export-web/web.ovf", "-H", other, "--storage", "ssd")
    assert "has no pools" in export.plain(*line, expect=Exit.USAGE).err


def test_disks_that_are_huge_for_their_files(export: Export, other: str, work: Path) -> None:
    export("web", "--quiet")
    (work / "export-web" / "web.mf").unlink()
    descriptor = work / "export-web" / "web.ovf"
    text = descriptor.read_text().replace('capacity="8388608"', f'capacity="{1 << 46}"')
    descriptor.write_text(text)
    line = ("import", descriptor, "-H", other, "--force")
    assert "claims 70368744177664 bytes" in export.plain(*line, expect=Exit.DAMAGED).err
    # How far it gets then is up to the file system.
    trusted = export.plain(*line, "--trust-sizes", expect=None)
    assert "claims" not in trusted.err


def test_the_version(export: Export, capsys: pytest.CaptureFixture[str]) -> None:
    export.plain("--version")
    export.plain("-version")
    one, two = capsys.readouterr().out.splitlines()
    assert one == two
    assert one.startswith("hyperexport ")
