"""Exports of one instance: what is written, and what is said."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hypersdk import MockHypervisor, connect
from hypersdk.cli.hyperexport.exits import Exit
from tests.cli.hyperexport.conftest import Export

MIB = 1 << 20


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_instance_to_the_folder_of_its_name(export: Export, work: Path) -> None:
    result = export("db")
    lines = result.out.splitlines()
    assert lines[0].split() == ["FILE", "SIZE", "DISK", "SHA256"]
    assert re.fullmatch(r"db: exported to export-db: .* MiB in .* s, switched off", lines[-1])
    assert names(work / "export-db") == [
        "checksums.txt",
        "db-disk-0.vmdk",
        "db-disk-0.vmdk.sha256",
        "db-disk-1.vmdk",
        "db-disk-1.vmdk.sha256",
        "db.mf",
        "db.mf.sha256",
        "db.ovf",
        "db.ovf.sha256",
    ]
    lines = (work / "export-db" / "checksums.txt").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    content = (work / "export-db" / "db.ovf").read_bytes()
    assert listed["db.ovf"] == hashlib.sha256(content).hexdigest()


def test_quiet_is_one_line(export: Export, work: Path) -> None:
    result = export("-vm", "db", "-quiet", "-output", "here")
    assert re.fullmatch(r"success: db exported to here \(\d\.\d MiB\)\n", result.out)
    assert result.err == ""
    assert (work / "here" / "db.ovf").exists()


def test_json_has_all_of_it(export: Export) -> None:
    (document,) = export("db", "--json").json["exports"]
    assert document["name"] == "db"
    assert [disk["read"] for disk in document["disks"]] == [2 * MIB, 2 * MIB]
    assert document["folder"] == "export-db"
    assert "batch" not in document


@pytest.mark.parametrize(
    ("format", "file"),
    [
        ("ova", "db.ova"),
        ("qcow2", "db-disk-1.qcow2"),
        ("raw", "db-disk-1.raw"),
        ("vmdk", "db-disk-1.vmdk"),
        ("vhdx", "db-disk-1.vhdx"),
        ("vdi", "db-disk-1.vdi"),
        ("vhd", "db-disk-1.vhd"),
    ],
)
def test_every_format(export: Export, work: Path, format: str, file: str) -> None:
    export("db", "--format", format, "--output", "here", "--quiet")
    assert file in names(work / "here")


def test_the_content_is_that_of_the_disk(export: Export, lab: MockHypervisor, work: Path) -> None:
    export("web", "--format", "raw", "--output", "here")
    with lab.guest("web", "vda") as guest:
        wanted = guest.read(0, 8 * MIB)
    assert (work / "here" / "web-disk-0.raw").read_bytes() == wanted


def test_disks_can_be_left_out(export: Export) -> None:
    (document,) = export("db", "--exclude-disk", "vdb", "--json").json["exports"]
    assert [disk["name"] for disk in document["disks"]] == ["vda"]


@pytest.mark.parametrize(("codec", "suffix"), [("gzip", ".gz"), ("zstd", ".zst"), ("lz4", ".lz4")])
def test_compression(export: Export, work: Path, codec: str, suffix: str) -> None:
    more = ("--compress", "--compress-codec", codec, "--compress-level", 9)
    export("web", "--format", "raw", "--output", "here", *more)
    (file,) = (work / "here").glob(f"*{suffix}")
    assert file.stat().st_size < 3 * MIB


def test_a_level_that_a_codec_has_not_is_refused(export: Export) -> None:
    result = export("web", "--compress", "--compress-level", 15, expect=Exit.USAGE)
    assert "gzip has no level 15" in result.err


@pytest.mark.parametrize("kind", ["sha512", "blake3"])
def test_checksums(export: Export, work: Path, kind: str) -> None:
    result = export("web", "--checksum", kind, "--output", "here")
    assert kind.upper() in result.out
    assert (work / "here" / f"web.ovf.{kind}").exists()


def test_verify_reads_again(export: Export) -> None:
    (document,) = export("web", "--verify", "--json").json["exports"]
    assert document["verified"]
    assert ", verified" in export("web", "--verify", "--output", "2").out


def test_what_is_there_is_not_replaced_without_a_word(export: Export) -> None:
    export("web", "--quiet")
    result = export("web", expect=Exit.CONCERNS)
    assert "holds an export of web already" in result.err
    assert "--overwrite" in result.err
    export("web", "--overwrite", "--quiet")


def test_upload_and_no_local_files(export: Export, work: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    result = export("web", "--upload", f"file://{place}", "--no-keep-local")
    assert f"exported to file://{place}" in result.out
    assert list(place.rglob("web.ovf"))
    assert not (work / "export-web" / "web.ovf").exists()


def test_stream_upload_leaves_nothing_here(export: Export, work: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    export("web", "--upload", f"file://{place}", "--stream-upload")
    assert list(place.rglob("web.ovf"))
    assert not (work / "export-web").exists() or names(work / "export-web") == []


def test_upload_to_s3(export: Export, s3_location: str) -> None:
    (document,) = export("web", "--upload", s3_location, "--json").json["exports"]
    assert document["uploaded"].startswith(s3_location)


def test_a_failed_upload_is_a_failed_export(export: Export, s3_location: str, work: Path) -> None:
    result = export("web", "--upload", "s3://nobody-has-this/x", "--quiet", expect=Exit.STORAGE)
    assert "hyperexport: " in result.err
    assert result.out == ""
    assert "web.ovf" in names(work / "export-web"), "what was read is kept"


def test_a_place_that_is_not_there_is_said(export: Export, tmp_path: Path) -> None:
    result = export("web", "--upload", f"file://{tmp_path}/none", expect=Exit.NOT_FOUND)
    assert f"the folder {tmp_path}/none does not exist" in result.err


def test_power_off_and_on_again(tmp_path: Path, lab: MockHypervisor, export: Export) -> None:
    assert lab.lifecycle
    assert lab.inventory
    lab.lifecycle.start("web")
    (document,) = export("web", "--power-off", "--json").json["exports"]
    assert document["consistency"] == "offline"
    assert lab.inventory.instance("web").state.value == "running"


def test_a_guest_that_does_not_stop_is_not_cut_off(tmp_path: Path, lab: MockHypervisor) -> None:
    stubborn = connect(f"{lab.url}?obeys_stop=false")
    assert stubborn.lifecycle
    stubborn.lifecycle.start("web")
    Export(f"{lab.url}?obeys_stop=false")(
        "web", "--power-off", "--power-off-timeout", "1", expect=Exit.FAILED
    )
    assert stubborn.inventory
    assert stubborn.inventory.instance("web").state.value == "running"


def test_a_snapshot_goes_or_stays(export: Export, lab: MockHypervisor) -> None:
    assert lab.snapshots
    export("web", "--snapshot", "--no-snapshot-quiesce", "--quiet")
    assert lab.snapshots.snapshots("web") == []
    kept = ("--snapshot", "--no-snapshot-quiesce", "--no-delete-snapshot")
    result = export("web", *kept, "--snapshot-name", "before", "--output", "2")
    assert "web: snapshot before was kept" in result.out
    assert [each.name for each in lab.snapshots.snapshots("web")] == ["before"]


def test_only_the_newest_snapshots_of_ours_stay(export: Export, lab: MockHypervisor) -> None:
    assert lab.snapshots
    for number in range(3):
        export(
            "web",
            *("--snapshot", "--no-snapshot-quiesce", "--no-delete-snapshot"),
            *("--snapshot-name", f"hyperexport-{number}", "--keep-snapshots", 2),
            *("--output", number, "--quiet"),
        )
    found = [each.name for each in lab.snapshots.snapshots("web")]
    assert found == ["hyperexport-1", "hyperexport-2"]


def test_a_snapshot_with_memory(export: Export, lab: MockHypervisor) -> None:
    assert lab.lifecycle
    assert lab.snapshots
    lab.lifecycle.start("web")
    more = ("--snapshot-memory", "--no-snapshot-quiesce", "--no-delete-snapshot")
    export("web", "--snapshot", *more, "--consolidate-snapshots", "--quiet")
    (snapshot,) = lab.snapshots.snapshots("web")
    assert snapshot.memory


def test_bandwidth(export: Export) -> None:
    more = ("--bandwidth-limit", "2", "--bandwidth-burst", "64KiB", "--adaptive-bandwidth")
    (document,) = export("web", *more, "--json").json["exports"]
    assert document["seconds"] > 0.5


def test_freezing_can_be_left_out(lab: MockHypervisor) -> None:
    export = Export(f"{lab.url}?guest_agent=true")
    assert lab.lifecycle
    lab.lifecycle.start("web")
    assert "filesystems frozen" in export("web").out
    assert "as after a power cut" in export("web", "--no-freeze", "--output", "2").out


def test_an_export_that_was_killed_goes_on(export: Export, lab: MockHypervisor, work: Path) -> None:
    line = [sys.executable, "-c", "from hypersdk.cli.hyperexport.main import main; main()"]
    slow = ("--parallel", "1", "--bandwidth-limit", "1MiB/s", "--bandwidth-burst", "64KiB")
    child = subprocess.Popen([*line, "-H", lab.url, "db", *slow], stderr=subprocess.DEVNULL)
    note = work / "export-db" / ".db.checkpoint.json"
    deadline = time.monotonic() + 60
    while not (note.exists() and "vda" in json.loads(note.read_text())["disks"]):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.02)
    child.kill()
    child.wait()
    assert [name for name in names(work / "export-db") if not name.startswith(".")] == []
    result = export("db", "--resume", "--json")
    (document,) = result.json["exports"]
    assert [disk["taken_over"] for disk in document["disks"]] == [True, False]
    assert "db.ovf" in names(work / "export-db")


def test_the_nearest_name_is_told(export: Export) -> None:
    result = export("wep", expect=Exit.NOT_FOUND)
    assert result.err.startswith("hyperexport: no instance 'wep'")
    assert "web" in result.err


def test_a_name_of_the_settings(
    lab: MockHypervisor, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERSDK_HYPERVISORS", f'{{"lab": "{lab.url}"}}')
    export("web", "-H", "lab", "--quiet")
    assert "Did you mean lab?" in export("web", "-H", "lap", expect=2).err


def test_an_interrupted_export_leaves_nothing_with_a_final_name(
    export: Export, lab: MockHypervisor, work: Path
) -> None:
    line = [sys.executable, "-c", "from hypersdk.cli.hyperexport.main import main; main()"]
    slow = ("--bandwidth-limit", "256KiB/s", "--bandwidth-burst", "64KiB")
    child = subprocess.Popen(
        [*line, "-H", lab.url, "web", *slow], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(work.glob("export-web/.web.partial/*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == Exit.INTERRUPTED
    assert "Stopping" in said
    assert list(work.glob("export-web/[!.]*")) == []
    (record,) = export("--history", "--json").json["exports"]
    assert not record["success"]
