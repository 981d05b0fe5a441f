"""Packages of this and other products become instances; hostile ones do not."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.artifacts.compression import Compression
from hypersdk.artifacts.encryption import Opening, Seal
from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import FORMATS, ExportOptions
from hypersdk.flows.importing.importing import import_package
from hypersdk.flows.importing.options import ImportOptions
from hypersdk.model.errors import (
    AlreadyExists,
    Damaged,
    HyperSDKError,
    ImageRefused,
    Interrupted,
    InvalidInput,
    KeyRequired,
    NotFound,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.resources import Network
from tests.components import require
from tests.flows.exporting.examples import DISKS, MIB, contents, mock_with
from tests.flows.importing import packages
from tests.repository.examples import noise

CONTENT = (noise(MIB) + b"text " * 100_000).ljust(8 * MIB, b"\0")
NO_NAT = ImportOptions(networks={"NAT": "-"})


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[MockHypervisor]:
    (tmp_path / "to").mkdir()
    hypervisor = MockHypervisor(tmp_path / "to")
    yield hypervisor
    hypervisor.close()


def names(hypervisor: MockHypervisor) -> list[str]:
    return [instance.name for instance in hypervisor.inventory.instances()]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockHypervisor]:
    hypervisor = mock_with(tmp_path_factory.mktemp("from"))
    yield hypervisor
    hypervisor.close()


@pytest.mark.parametrize("format", FORMATS)
def test_a_round_trip_changes_no_byte(
    source: MockHypervisor, empty: MockHypervisor, tmp_path: Path, format: str
) -> None:
    require("qemu-img", "qemu-nbd")
    export_instance(source, "web", tmp_path / "a", options=ExportOptions(format=format))
    imported = import_package(tmp_path / "a", empty)
    assert imported.verified
    assert contents(empty) == list(DISKS.values())
    assert (imported.instance.vcpus, imported.instance.memory) == (1, 1 << 30)
    export_instance(empty, "web", tmp_path / "b", options=ExportOptions(format="raw"))
    for number, content in enumerate(DISKS.values()):
        assert (tmp_path / "b" / f"web-disk-{number}.raw").read_bytes() == content


@pytest.mark.parametrize("format", ["ova", "raw"])
def test_packed_and_sealed_packages_are_opened(
    source: MockHypervisor, empty: MockHypervisor, tmp_path: Path, format: str
) -> None:
    options = ExportOptions(
        format=format,
        seal=Seal(passphrase="secret words"),
        compression=Compression("gzip"),
    )
    export_instance(source, "web", tmp_path / "a", options=options)
    with pytest.raises(KeyRequired):
        import_package(tmp_path / "a", empty)
    with pytest.raises(KeyRequired):
        import_package(
            tmp_path / "a", empty, options=ImportOptions(opening=Opening(passphrase="wrong"))
        )
    assert names(empty) == []
    opening = Opening(passphrase="secret words")
    import_package(tmp_path / "a", empty, options=ImportOptions(opening=opening))
    assert contents(empty) == list(DISKS.values())


def test_an_ova_of_virtualbox(empty: MockHypervisor, tmp_path: Path) -> None:
    path = packages.ova(tmp_path / "vb.ova", packages.virtualbox(CONTENT))
    imported = import_package(path, empty, options=NO_NAT)
    assert imported.verified
    assert (imported.instance.vcpus, imported.instance.memory) == (2, 512 * MIB)
    assert contents(empty, "vb") == [CONTENT]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_an_ova_in_another_order_and_flavour(
    empty: MockHypervisor, tmp_path: Path, format: int
) -> None:
    files = packages.virtualbox(CONTENT)
    mixed = dict(sorted(files.items(), key=lambda each: each[0].endswith(".ovf")))
    import_package(packages.ova(tmp_path / "vb.ova", mixed, format), empty, options=NO_NAT)
    assert contents(empty, "vb") == [CONTENT]


def test_a_packed_disk_by_the_words_of_the_descriptor(
    empty: MockHypervisor, tmp_path: Path
) -> None:
    text = packages.descriptor("d.vmdk", len(CONTENT)).replace(
        b'ovf:href="d.vmdk"', b'ovf:href="d.vmdk" ovf:compression="gzip"'
    )
    files = {"vb.ovf": text, "d.vmdk": gzip.compress(packages.packed(CONTENT))}
    import_package(packages.folder(tmp_path / "p", files), empty, options=NO_NAT)
    assert contents(empty, "vb") == [CONTENT]


@pytest.mark.parametrize("format", ["qcow2", "vmdk", "vhdx", "vdi", "raw"])
def test_a_bare_image_becomes_an_instance(
    empty: MockHypervisor, tmp_path: Path, format: str
) -> None:
    require("qemu-img", "qemu-nbd")
    (tmp_path / "x").write_bytes(CONTENT)
    image = tmp_path / f"small.{format}"
    command = ["qemu-img", "convert", "-f", "raw", "-O", format, str(tmp_path / "x"), str(image)]
    subprocess.run(command, check=True)
    options = ImportOptions(vcpus=3, memory=64 * MIB, start=True)
    imported = import_package(image, empty, options=options)
    assert (imported.instance.name, imported.instance.vcpus) == ("small", 3)
    assert empty.inventory.instance("small").state is InstanceState.RUNNING
    assert contents(empty, "small") == [CONTENT]


def test_a_name_that_is_taken_and_another_one(
    source: MockHypervisor, tmp_path: Path, empty: MockHypervisor
) -> None:
    export_instance(source, "web", tmp_path / "a")
    import_package(tmp_path / "a", empty)
    with pytest.raises(AlreadyExists) as caught:
        import_package(tmp_path / "a", empty)
    assert "--name" in caught.value.hint
    import_package(tmp_path / "a", empty, options=ImportOptions(name="web-2"))
    assert names(empty) == ["web", "web-2"]


def test_networks_are_mapped_or_missed(empty: MockHypervisor, tmp_path: Path) -> None:
    path = packages.ova(tmp_path / "vb.ova", packages.virtualbox(CONTENT))
    with pytest.raises(NotFound) as caught:
        import_package(path, empty)
    assert "--map-network 'NAT=" in caught.value.hint
    empty.networks.create_network(Network("lab"))
    import_package(path, empty, options=ImportOptions(networks={"NAT": "lab"}))
    assert names(empty) == ["vb"]


def damaged(files: dict[str, bytes], what: str) -> dict[str, bytes]:
    disk = next(name for name in files if name.endswith(".vmdk"))
    changed = dict(files)
    if what == "digest":
        changed["vb.mf"] = packages.manifest({"vb.ovf": files["vb.ovf"], disk: b"other"})
    elif what == "descriptor":
        changed["vb.ovf"] = changed["vb.ovf"].replace(b"512", b"513")
    elif what == "grain":
        content = bytearray(changed[disk])
        content[100_000] ^= 1
        changed[disk] = bytes(content)
        del changed["vb.mf"]
    elif what == "cut":
        changed[disk] = changed[disk][:200_000]
        del changed["vb.mf"]
    elif what == "missing":
        del changed[disk]
        del changed["vb.mf"]
    return changed


@pytest.mark.parametrize("what", ["digest", "descriptor", "grain", "cut", "missing"])
@pytest.mark.parametrize("shape", ["ova", "folder"])
def test_a_damaged_package_leaves_nothing(
    empty: MockHypervisor, tmp_path: Path, shape: str, what: str
) -> None:
    files = damaged(packages.virtualbox(CONTENT), what)
    make = packages.ova if shape == "ova" else packages.folder
    path = make(tmp_path / "vb.ova", files)
    with pytest.raises((Damaged, ImageRefused, NotFound)):
        import_package(path, empty, options=NO_NAT)
    assert names(empty) == []


def test_cancelling_leaves_nothing(empty: MockHypervisor, tmp_path: Path) -> None:
    path = packages.ova(tmp_path / "vb.ova", packages.virtualbox(CONTENT))
    cancel = CancelToken()
    with pytest.raises(Interrupted):
        import_package(
            path, empty, options=NO_NAT, reporter=lambda _: cancel.cancel(), cancel=cancel
        )
    assert names(empty) == []


@pytest.mark.parametrize("name", ["../x.vmdk", "/etc/passwd", "a/b.vmdk", ".."])
def test_names_that_lead_elsewhere_are_refused(
    empty: MockHypervisor, tmp_path: Path, name: str
) -> None:
    files = {"vb.ovf": packages.descriptor(name, len(CONTENT))}
    with pytest.raises(InvalidInput):
        import_package(packages.folder(tmp_path / "p", files), empty, options=NO_NAT)
    with pytest.raises(HyperSDKError):
        import_package(packages.ova(tmp_path / "p.ova", files), empty, options=NO_NAT)
    assert names(empty) == []


def test_links_are_refused(empty: MockHypervisor, tmp_path: Path) -> None:
    files = packages.virtualbox(CONTENT)
    (tmp_path / "secret").write_bytes(files.pop("vb-disk001.vmdk"))
    folder = packages.folder(tmp_path / "p", files)
    os.symlink(tmp_path / "secret", folder / "vb-disk001.vmdk")
    with pytest.raises(ImageRefused, match="no plain file"):
        import_package(folder, empty, options=NO_NAT)
    archive = tmp_path / "l.ova"
    with tarfile.open(archive, "w") as tar:
        header = tarfile.TarInfo("vb.ovf")
        header.size = len(files["vb.ovf"])
        tar.addfile(header, io.BytesIO(files["vb.ovf"]))
        link = tarfile.TarInfo("vb-disk001.vmdk")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(ImageRefused):
        import_package(archive, empty, options=NO_NAT)
    assert names(empty) == []


def test_a_disk_that_refers_to_another_file_is_refused(
    empty: MockHypervisor, tmp_path: Path
) -> None:
    require("qemu-img")
    (tmp_path / "secret.raw").write_bytes(CONTENT)
    folder = packages.folder(tmp_path / "p", {})
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", tmp_path / "secret.raw",
         folder / "vb.qcow2"],
        check=True,
    )  # fmt: skip
    with pytest.raises(ImageRefused):
        import_package(folder / "vb.qcow2", empty)
    assert names(empty) == []


def test_bombs_are_refused(empty: MockHypervisor, tmp_path: Path) -> None:
    huge = packages.folder(
        tmp_path / "huge", {"vb.ovf": packages.descriptor("d.vmdk", 40 << 40), "d.vmdk": b"x"}
    )
    with pytest.raises(ImageRefused, match="claims"):
        import_package(huge, empty, options=NO_NAT)
    text = b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><Envelope>&b;</Envelope>"
    folder = packages.folder(tmp_path / "xml", {"vb.ovf": text})
    with pytest.raises(InvalidInput):
        import_package(folder, empty)
    (tmp_path / "big.ovf.gz").write_bytes(gzip.compress(b" " * (40 * MIB)))
    with pytest.raises(HyperSDKError):
        import_package(tmp_path / "big.ovf.gz", empty)
    assert names(empty) == []


def test_a_disk_larger_than_its_descriptor_says_is_refused(
    empty: MockHypervisor, tmp_path: Path
) -> None:
    files = {
        "vb.ovf": packages.descriptor("d.vmdk", 4 * MIB),
        "d.vmdk": packages.packed(CONTENT),
    }
    with pytest.raises(ImageRefused, match="its descriptor says"):
        import_package(packages.folder(tmp_path / "p", files), empty, options=NO_NAT)
    assert names(empty) == []


def test_what_is_no_package_is_said(empty: MockHypervisor, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        import_package(tmp_path / "none.ova", empty)
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotFound, match=r"no \.ovf"):
        import_package(tmp_path / "folder", empty)
    (tmp_path / "text.ova").write_text("no archive" * 100)
    with pytest.raises(ImageRefused):
        import_package(tmp_path / "text.ova", empty)
