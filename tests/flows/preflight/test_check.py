from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.preflight.check import check_export, check_import, details_of
from hypersdk.flows.preflight.report import ConcernsFound, PreflightReport
from hypersdk.flows.preflight.subject import Destination
from hypersdk.model.concerns import Severity
from hypersdk.model.details import InstanceDetails
from hypersdk.model.errors import InstanceNotFound, NotSupported
from hypersdk.model.specs import DiskSpec, InstanceSpec
from hypersdk.ovf.archive import OvaWriter
from hypersdk.ovf.machine import OvfDisk, OvfMachine, OvfNic
from hypersdk.ovf.writing import write_ovf

SIZE = 1 << 20


@pytest.fixture
def hypervisor(tmp_path: Path) -> Iterator[MockHypervisor]:
    """With one stopped instance, ``web``."""
    mock = MockHypervisor(tmp_path / "lab")
    mock.lifecycle.create(InstanceSpec(name="web", disks=(DiskSpec(size=SIZE),)))
    yield mock
    mock.close()


def ids(report: PreflightReport) -> list[str]:
    return [concern.id for concern in report.concerns]


class Telling:
    """A part ``details``."""

    def details(self, name: str) -> InstanceDetails:
        raise InstanceNotFound(f"no {name} here")


def test_details_from_the_listing_where_there_is_no_part(tmp_path: Path) -> None:
    (tmp_path / "mock.toml").write_text('without = ["details"]\n')
    hypervisor = MockHypervisor(tmp_path)
    hypervisor.lifecycle.create(InstanceSpec(name="web", disks=(DiskSpec(size=SIZE),)))
    found = details_of(hypervisor, "web")
    assert found.instance == hypervisor.inventory.instance("web")
    assert [(disk.name, disk.size) for disk in found.disks] == [("vda", SIZE)]
    assert (found.encrypted, found.snapshots, found.guest.agent) == (None, None, None)
    with pytest.raises(InstanceNotFound):
        details_of(hypervisor, "nobody")


def test_details_from_the_part(tmp_path: Path) -> None:
    mock = MockHypervisor(tmp_path, parts={"details": lambda _: Telling()})
    with pytest.raises(InstanceNotFound, match="no web here"):
        details_of(mock, "web")


def test_a_hypervisor_that_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "mock.toml").write_text('without = ["inventory", "details"]\n')
    with pytest.raises(NotSupported):
        details_of(MockHypervisor(tmp_path), "web")


def test_nothing_is_wrong_and_nothing_is_changed(
    hypervisor: MockHypervisor, tmp_path: Path
) -> None:
    folder = tmp_path / "exports" / "new"
    report = check_export(hypervisor, "web", Destination(folder=folder))
    assert [each.severity for each in report.concerns if each.id != "destination.space-low"] == []
    assert not report.blocks
    report.demand()
    assert not (tmp_path / "exports").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab"]


def test_a_full_folder(hypervisor: MockHypervisor, tmp_path: Path) -> None:
    report = check_export(hypervisor, "web", Destination(folder=tmp_path, needed=1 << 60))
    assert ids(report) == ["destination.space"]
    assert report.blocks
    assert report.counts == {Severity.CRITICAL: 1, Severity.WARNING: 0, Severity.INFO: 0}
    with pytest.raises(ConcernsFound) as caught:
        report.demand()
    assert "web was not begun, 1 critical" in caught.value.message
    assert "[destination.space]" in caught.value.message
    assert caught.value.hint.endswith("To go on regardless: --force.")
    report.demand(forced=True)


def test_a_folder_that_is_a_file(hypervisor: MockHypervisor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    report = check_export(hypervisor, "web", Destination(folder=tmp_path / "file" / "below"))
    assert "destination.unwritable" in ids(report)


def test_a_folder_on_a_file_system_that_takes_nothing(hypervisor: MockHypervisor) -> None:
    report = check_export(hypervisor, "web", Destination(folder=Path("/proc/exports")))
    assert "destination.unwritable" in ids(report)


@pytest.mark.parametrize(
    "name", ["web.ovf", "web.mf", "web.ova", "web-disk-0.vmdk", "web-disk-0.vmdk.age", "web.ova.gz"]
)
def test_an_export_of_that_name(hypervisor: MockHypervisor, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    there = Destination(folder=tmp_path)
    assert "destination.exists" in ids(check_export(hypervisor, "web", there))
    again = Destination(folder=tmp_path, overwrite=True)
    assert "destination.exists" not in ids(check_export(hypervisor, "web", again))


@pytest.mark.parametrize("name", ["web-2.ovf", "web-2-disk-0.vmdk", "website.mf", "notes.txt"])
def test_exports_of_other_names(hypervisor: MockHypervisor, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    assert "destination.exists" not in ids(
        check_export(hypervisor, "web", Destination(folder=tmp_path))
    )


def test_an_unfinished_export(hypervisor: MockHypervisor, tmp_path: Path) -> None:
    (tmp_path / ".web.checkpoint.json").write_text("{}")
    report = check_export(hypervisor, "web", Destination(folder=tmp_path))
    assert "destination.unfinished" in ids(report)
    resumed = check_export(hypervisor, "web", Destination(folder=tmp_path, resume=True))
    assert "destination.unfinished" not in ids(resumed)


# Packages.

MACHINE = OvfMachine(
    name="web",
    vcpus=2,
    memory=1 << 30,
    disks=(OvfDisk(id="vmdisk1", file="web-disk-0.vmdk", capacity=SIZE),),
    nics=(OvfNic(network="VM Network"),),
)


def package(folder: Path, machine: OvfMachine = MACHINE) -> Path:
    path = folder / "package.ovf"
    path.write_bytes(write_ovf(machine))
    (folder / "web-disk-0.vmdk").write_bytes(b"disk")
    return path


def test_a_package_whose_name_is_taken(hypervisor: MockHypervisor, tmp_path: Path) -> None:
    report = check_import(hypervisor, package(tmp_path))
    assert ids(report) == ["import.exists", "import.network-missing"]
    assert report.details.instance.memory == 1 << 30
    named = check_import(
        hypervisor, package(tmp_path), name="web-2", networks={"VM Network": "default"}
    )
    assert [each.id for each in named.concerns if each.severity is Severity.CRITICAL] == []


def test_a_package_without_its_disk(hypervisor: MockHypervisor, tmp_path: Path) -> None:
    path = package(tmp_path)
    (tmp_path / "web-disk-0.vmdk").unlink()
    assert "import.file-missing" in ids(check_import(hypervisor, path, name="new"))


def test_an_archive(hypervisor: MockHypervisor, tmp_path: Path) -> None:
    path = tmp_path / "web.ova"
    with path.open("w+b") as file:
        writer = OvaWriter(file, "web", ["web-disk-0.vmdk"])
        with writer.member("web-disk-0.vmdk") as member:
            member.write(b"disk")
        writer.finish(lambda _: write_ovf(MACHINE))
    assert "import.exists" in ids(check_import(hypervisor, path))


@pytest.mark.parametrize("content", [b"", b"<x/>", b"<!DOCTYPE x><x/>", b"\0" * 4096])
@pytest.mark.parametrize("ending", [".ovf", ".ova"])
def test_what_is_no_package(
    hypervisor: MockHypervisor, tmp_path: Path, content: bytes, ending: str
) -> None:
    path = tmp_path / f"new{ending}"
    path.write_bytes(content)
    report = check_import(hypervisor, path)
    assert ids(report)[0] == "import.unreadable"
    assert report.blocks


def test_a_package_that_is_not_there(hypervisor: MockHypervisor, tmp_path: Path) -> None:
    report = check_import(hypervisor, tmp_path / "new.ova")
    assert "there is no such file" in report.concerns[0].message


def test_a_single_image(hypervisor: MockHypervisor, tmp_path: Path) -> None:
    image = tmp_path / "web.qcow2"
    image.write_bytes(b"QFI\xfb")
    assert ids(check_import(hypervisor, image)) == ["import.exists"]
    assert ids(check_import(hypervisor, image, name="new")) == []


def test_more_than_the_host_has(hypervisor: MockHypervisor, tmp_path: Path) -> None:
    huge = OvfMachine(name="huge", vcpus=2, memory=1 << 43)
    assert "import.too-big" in ids(check_import(hypervisor, package(tmp_path, huge)))


def test_a_host_that_builds_nothing(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "mock.toml").write_text('without = ["provisioning", "lifecycle"]\n')
    report = check_import(MockHypervisor(lab), package(tmp_path))
    assert "import.refused" in ids(report)
