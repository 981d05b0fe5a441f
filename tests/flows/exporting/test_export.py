"""Exports of the mock hypervisor: formats, files, what is refused, what is undone."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.artifacts.compression import Compression
from hypersdk.artifacts.encryption import Opening, Seal, open_file
from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.options import (
    IMAGES,
    Bandwidth,
    ExportOptions,
    ManifestOptions,
)
from hypersdk.flows.exporting.verify import verify_export
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    InstanceNotFound,
    Interrupted,
    InvalidInput,
    NotFound,
)
from hypersdk.model.instances import InstanceState
from hypersdk.model.progress import Progress
from hypersdk.ovf.reading import read_ovf
from tests.components import require
from tests.flows.exporting.examples import DISKS, mock_with

QEMU = {"vhd": "vpc"}


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockHypervisor]:
    hypervisor = mock_with(tmp_path_factory.mktemp("lab"))
    yield hypervisor
    hypervisor.close()


def as_raw(image: Path, format: str) -> bytes:
    raw = image.with_name("as-raw")
    subprocess.run(
        ["qemu-img", "convert", "-f", QEMU.get(format, format), "-O", "raw", image, raw],
        check=True,
    )
    content = raw.read_bytes()
    raw.unlink()
    return content


def test_a_package_has_all_files_that_belong_to_it(mock: MockHypervisor, tmp_path: Path) -> None:
    exported = export_instance(mock, "web", tmp_path / "out")
    names = sorted(os.listdir(tmp_path / "out"))
    main = ["web-disk-0.vmdk", "web-disk-1.vmdk", "web.mf", "web.ovf"]
    assert names == sorted([*main, *(f"{name}.sha256" for name in main), "checksums.txt"])
    assert sorted(file.name for file in exported.files) == names
    for file in exported.files:
        content = (tmp_path / "out" / file.name).read_bytes()
        assert (file.size, file.digest) == (len(content), hashlib.sha256(content).hexdigest())
        assert stat.S_IMODE((tmp_path / "out" / file.name).stat().st_mode) in {0o600, 0o644}
    assert [disk.size for disk in exported.disks] == [len(each) for each in DISKS.values()]
    done = subprocess.run(
        ["sha256sum", "-c", "checksums.txt"], cwd=tmp_path / "out", capture_output=True, check=False
    )
    assert done.returncode == 0
    machine = read_ovf((tmp_path / "out" / "web.ovf").read_bytes())
    assert [disk.file for disk in machine.disks] == ["web-disk-0.vmdk", "web-disk-1.vmdk"]
    assert [disk.capacity for disk in machine.disks] == [len(each) for each in DISKS.values()]


@pytest.mark.parametrize("format", IMAGES)
def test_images_hold_the_disks(mock: MockHypervisor, tmp_path: Path, format: str) -> None:
    require("qemu-img", "qemu-nbd")
    exported = export_instance(
        mock, "web", tmp_path, options=ExportOptions(format=format, verify=True)
    )
    assert exported.verified
    for disk, content in zip(exported.disks, DISKS.values(), strict=True):
        found = as_raw(tmp_path / disk.file, format)
        assert found[: len(content)] == content
        assert not any(found[len(content) :])
    assert verify_export(tmp_path).checks


def test_an_archive_is_one_file_in_the_order_of_the_standard(
    mock: MockHypervisor, tmp_path: Path
) -> None:
    export_instance(mock, "web", tmp_path, options=ExportOptions(format="ova", verify=True))
    listed = subprocess.run(
        ["tar", "-tf", tmp_path / "web.ova"], capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == ["web.ovf", "web.mf", "web-disk-0.vmdk", "web-disk-1.vmdk"]
    assert sorted(os.listdir(tmp_path)) == ["checksums.txt", "web.ova", "web.ova.sha256"]


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_clusters_of_qcow2_are_packed(mock: MockHypervisor, tmp_path: Path, codec: str) -> None:
    require("qemu-img", "qemu-nbd")
    options = ExportOptions(format="qcow2", compression=Compression(codec), verify=True)
    export_instance(mock, "web", tmp_path, options=options)
    assert as_raw(tmp_path / "web-disk-0.qcow2", "qcow2") == DISKS["vda"]
    said = subprocess.run(
        ["qemu-img", "info", "--output=json", tmp_path / "web-disk-0.qcow2"],
        capture_output=True,
        check=True,
    )
    kind = json.loads(said.stdout)["format-specific"]["data"]["compression-type"]
    assert kind == {"gzip": "zlib", "zstd": "zstd"}[codec]


def test_files_are_packed_and_sealed_one_after_another(
    mock: MockHypervisor, tmp_path: Path
) -> None:
    options = ExportOptions(
        format="raw",
        compression=Compression("zstd"),
        seal=Seal(passphrase="secret words"),
        exclude=frozenset({"vdb"}),
        checksum="blake3",
    )
    exported = export_instance(mock, "web", tmp_path, options=options)
    assert {file.name for file in exported.files if file.disk} == {"web-disk-0.raw.zst.age"}
    assert verify_export(tmp_path).checks
    opened = open_file(tmp_path / "web.ovf.age", Opening(passphrase="secret words"))
    assert read_ovf(opened.read_bytes()).disks[0].file == "web-disk-0.raw"
    assert b"secret words" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(("format", "codec"), [("ovf", "zstd"), ("ova", "lz4"), ("qcow2", "lz4")])
def test_a_codec_that_the_format_has_no_use_for_is_refused(
    mock: MockHypervisor, tmp_path: Path, format: str, codec: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        export_instance(
            mock,
            "web",
            tmp_path / "out",
            options=ExportOptions(format=format, compression=Compression(codec)),
        )
    assert caught.value.hint
    assert not (tmp_path / "out").exists()


def test_the_manifest_tells_the_next_tool(mock: MockHypervisor, tmp_path: Path) -> None:
    wishes = ManifestOptions(target_format="qcow2", tags={"ticket": "12"})
    export_instance(mock, "web", tmp_path, options=ExportOptions(manifest=wishes))
    found = json.loads((tmp_path / "artifact-manifest.json").read_text())
    assert found["source"]["vm_name"] == "web"
    assert [disk["local_path"] for disk in found["disks"]] == ["web-disk-0.vmdk", "web-disk-1.vmdk"]
    digest = hashlib.sha256((tmp_path / "web-disk-0.vmdk").read_bytes()).hexdigest()
    assert found["disks"][0]["checksum"] == f"sha256:{digest}"
    assert found["disks"][0]["boot_order_hint"] == 0
    assert found["output"] == {"format": "qcow2"}


def test_what_is_there_is_replaced_only_when_asked(mock: MockHypervisor, tmp_path: Path) -> None:
    export_instance(mock, "web", tmp_path)
    before = (tmp_path / "web.mf").stat().st_ino
    with pytest.raises(AlreadyExists) as caught:
        export_instance(mock, "web", tmp_path)
    assert "--overwrite" in caught.value.hint
    assert (tmp_path / "web.mf").stat().st_ino == before
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
    export_instance(mock, "web", tmp_path, options=ExportOptions(overwrite=True))
    assert (tmp_path / "web.mf").stat().st_ino != before


def test_disks_that_are_left_out_are_not_described(mock: MockHypervisor, tmp_path: Path) -> None:
    options = ExportOptions(exclude=frozenset({"vda"}))
    exported = export_instance(mock, "web", tmp_path, options=options)
    assert [disk.name for disk in exported.disks] == ["vdb"]
    assert len(read_ovf((tmp_path / "web.ovf").read_bytes()).disks) == 1


def test_what_is_not_there_is_said(mock: MockHypervisor, tmp_path: Path) -> None:
    with pytest.raises(InstanceNotFound):
        export_instance(mock, "webb", tmp_path / "out")
    with pytest.raises(NotFound, match="no disk sdz"):
        export_instance(
            mock, "web", tmp_path / "out", options=ExportOptions(exclude=frozenset({"sdz"}))
        )
    assert not (tmp_path / "out").exists()


def test_cancelling_leaves_nothing_unfinished(mock: MockHypervisor, tmp_path: Path) -> None:
    cancel = CancelToken()

    def stop(progress: Progress) -> None:
        if progress.read:
            cancel.cancel()

    mock.lifecycle.start("web")
    try:
        with pytest.raises(Interrupted):
            export_instance(mock, "web", tmp_path, reporter=stop, cancel=cancel)
    finally:
        mock.lifecycle.stop("web", force=True)
    assert os.listdir(tmp_path) == []


def test_progress_names_the_instance_and_its_disks(mock: MockHypervisor, tmp_path: Path) -> None:
    seen: list[Progress] = []
    export_instance(mock, "web", tmp_path, reporter=seen.append)
    last = {each.task: each for each in seen if each.finished}
    assert {"web/vda", "web/vdb"} <= set(last)
    assert last["web/vda"].done == last["web/vda"].total == len(DISKS["vda"])


def test_the_bandwidth_is_shared_by_all_disks(mock: MockHypervisor, tmp_path: Path) -> None:
    data = 3 << 20
    options = ExportOptions(bandwidth=Bandwidth(rate=4 << 20, burst=1 << 20))
    exported = export_instance(mock, "web", tmp_path, options=options)
    read = sum(disk.read for disk in exported.disks)
    assert read > data
    assert exported.seconds > (read - (2 << 20)) / (4 << 20) * 0.9


def test_a_guest_is_shut_down_and_started_again(mock: MockHypervisor, tmp_path: Path) -> None:
    mock.lifecycle.start("web")
    states: list[InstanceState] = []

    def look(progress: Progress) -> None:
        if progress.task.startswith("web/"):
            states.append(mock.inventory.instance("web").state)

    export_instance(mock, "web", tmp_path, options=ExportOptions(power_off=True), reporter=look)
    assert set(states) == {InstanceState.STOPPED}
    assert mock.inventory.instance("web").state is InstanceState.RUNNING
    mock.lifecycle.stop("web", force=True)


def test_it_is_started_again_after_a_failure_too(mock: MockHypervisor, tmp_path: Path) -> None:
    mock.lifecycle.start("web")
    cancel = CancelToken()
    options = ExportOptions(power_off=True)
    with pytest.raises(HyperSDKError):
        export_instance(
            mock,
            "web",
            tmp_path,
            options=options,
            reporter=lambda _: cancel.cancel(),
            cancel=cancel,
        )
    assert mock.inventory.instance("web").state is InstanceState.RUNNING
    mock.lifecycle.stop("web", force=True)


def test_a_stopped_guest_stays_stopped(mock: MockHypervisor, tmp_path: Path) -> None:
    export_instance(mock, "web", tmp_path, options=ExportOptions(power_off=True))
    assert mock.inventory.instance("web").state is InstanceState.STOPPED
