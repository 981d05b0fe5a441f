"""Handing an export over: to hyper2kvm as a program or by its folder, and to libvirt."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from hypersdk.cli.hyperexport.exits import Exit
from tests.cli.hyperexport.conftest import Export

#: Does what hyper2kvm does: reads the manifest, prints, writes a file.
CONVERTS = """#!/bin/sh
echo "converting $@"
test -f "$1" || exit 3
grep -q '"manifest_version": "1.0"' "$1" || exit 4
folder=$(dirname "$1")
echo image > "$folder/converted.qcow2"
echo "Output: $folder/converted.qcow2"
"""


def program(folder: Path, text: str, name: str = "hyper2kvm") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_it_is_run_on_the_manifest(export: Export, work: Path, path: Path) -> None:
    program(path, CONVERTS)
    result = export("web", "--pipeline", "--json")
    (document,) = result.json["exports"]
    made = work / "export-web" / "converted.qcow2"
    assert [str((work / each).resolve()) for each in document["handover"]["converted"]] == [
        str(made)
    ]
    assert "converting export-web/artifact-manifest.json\n" in result.err, "shown as it is said"
    manifest = json.loads((work / "export-web" / "artifact-manifest.json").read_text())
    steps = manifest["pipeline"]
    assert all(steps[step]["enabled"] for step in ("inspect", "fix", "convert", "validate"))


def test_its_options_are_in_the_manifest(export: Export, work: Path, path: Path) -> None:
    program(path, CONVERTS)
    export(
        *("web", "--pipeline", "--pipeline-dry-run", "--no-pipeline-fix", "--no-pipeline-inspect"),
        *("--no-pipeline-convert", "--no-pipeline-validate", "--pipeline-compress"),
        *("--compress-level", 4, "--pipeline-output", "out", "--manifest-target", "raw"),
    )
    manifest = json.loads((work / "export-web" / "artifact-manifest.json").read_text())
    steps = manifest["pipeline"]
    assert not any(step["enabled"] for step in steps.values())
    assert (steps["convert"]["compress"], steps["convert"]["compress_level"]) == (True, 4)
    assert manifest["options"]["dry_run"]
    assert manifest["output"] == {"directory": str(work / "out"), "format": "raw"}


def test_what_it_prints_can_be_left_out(export: Export, path: Path) -> None:
    program(path, CONVERTS)
    assert "converting" not in export("web", "--pipeline", "--no-stream-pipeline").err


def test_its_dry_run(export: Export, path: Path) -> None:
    program(path, CONVERTS)
    assert "--dry-run" in export("web", "--pipeline", "--pipeline-dry-run").err


def test_its_status_decides(export: Export, work: Path, tmp_path: Path) -> None:
    fails = program(tmp_path, "#!/bin/sh\necho 'no driver for this guest'\nexit 7\n", "h2k")
    line = ("web", "--pipeline", "--hyper2kvm-path", fails)
    result = export(*line, expect=Exit.HANDOVER)
    assert "hyper2kvm ended with status 7" in result.err
    assert "no driver for this guest" in result.err
    assert (work / "export-web" / "web.ovf").exists(), "the export is complete"
    (record,) = export("--history", "--json").json["exports"]
    assert not record["success"]


def test_it_is_ended_with_all_that_it_started(export: Export, work: Path, path: Path) -> None:
    program(path, "#!/bin/sh\nsleep 60 & echo $! > child; echo waiting; wait\n")
    began = time.monotonic()
    result = export("web", "--pipeline", "--pipeline-timeout", "1s", expect=Exit.HANDOVER)
    assert time.monotonic() - began < 40
    assert "was ended, it took longer than 1.0 s" in result.err
    child = int((work / "child").read_text())
    deadline = time.monotonic() + 30
    while _runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_program_that_is_not_there(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ("web", "--pipeline", "--hyper2kvm-path", "/nowhere/hyper2kvm")
    result = export(*line, expect=Exit.REQUIREMENT)
    assert "there is no program /nowhere/hyper2kvm" in result.err


def test_in_a_batch_each_is_handed_over(export: Export, path: Path) -> None:
    program(path, CONVERTS)
    result = export("web", "db", "--pipeline", "--json")
    assert all(each["handover"]["converted"] for each in result.json["exports"])


@pytest.fixture
def queue(work: Path) -> tuple[object, ...]:
    for name in ("queue", "out"):
        (work / name).mkdir()
    return (
        *("web", "--hyper2kvm-daemon", "--hyper2kvm-watch-dir", "queue"),
        *("--hyper2kvm-output-dir", "out", "--hyper2kvm-poll-interval", "0.05s"),
        *("--hyper2kvm-daemon-timeout", "30s"),
    )


def answer(work: Path, name: str, text: str, seen: list[dict[str, object]]) -> threading.Thread:
    """What the other end does when a manifest comes."""

    def wait() -> None:
        manifest = work / "queue" / "web.json"
        while not manifest.exists():
            time.sleep(0.02)
        seen.append(json.loads(manifest.read_text()))
        (work / "out" / name).write_text(text)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_by_the_folder_that_is_watched(
    export: Export, work: Path, queue: tuple[object, ...]
) -> None:
    seen: list[dict[str, object]] = []
    thread = answer(work, "web.qcow2", "image", seen)
    (document,) = export(*queue, "--json").json["exports"]
    thread.join(30)
    assert document["handover"]["converted"] == ["out/web.qcow2"]
    disks = seen[0]["disks"]
    assert isinstance(disks, list)
    assert Path(disks[0]["local_path"]) == work / "export-web" / "web-disk-0.vmdk"


def test_a_failure_there(export: Export, work: Path, queue: tuple[object, ...]) -> None:
    answer(work, "web.error", "no boot disk", [])
    assert "hyper2kvm failed: no boot disk" in export(*queue, expect=Exit.HANDOVER).err


def test_nobody_answers(export: Export, queue: tuple[object, ...]) -> None:
    line = [*queue[:-1], "0.2s"]
    assert "did not write" in export(*line, expect=Exit.HANDOVER).err


def test_nobody_watches(export: Export) -> None:
    line = ("web", "--hyper2kvm-daemon", "--hyper2kvm-watch-dir", "nowhere")
    assert "no hyper2kvm watches it" in export(*line, expect=Exit.REQUIREMENT).err


@pytest.mark.parametrize(
    "more",
    [
        ["--encrypt", "--keyfile", "k"],
        ["--compress"],
        ["--upload", "file:///tmp", "--no-keep-local"],
        ["--upload", "file:///tmp", "--stream-upload"],
        ["--hyper2kvm-daemon"],
    ],
)
def test_what_cannot_be_handed_over_is_refused(export: Export, more: list[str]) -> None:
    export("web", "--pipeline", *more, expect=Exit.USAGE)
