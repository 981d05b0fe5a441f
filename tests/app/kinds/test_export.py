from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hypersdk
from hypersdk.model.errors import (
    AlreadyExists,
    Interrupted,
    InvalidInput,
    NotAllowed,
    NotFound,
)
from tests.app.kinds.killed import again, kill, resume
from tests.app.kinds.lab import MIB, Lab
from tests.app.kinds.running import FakeRun, Steps, cancelling, job_of
from tests.flows.examples import leftovers


def request_of(lab: Lab, **more: Any) -> dict[str, Any]:
    return {
        "hypervisor": "lab", "instance": "web", "output": str(lab.root / "out"), "format": "raw",
        "parallel": 1, **more,
    }  # fmt: skip


def test_files_and_what_is_said_of_them(lab: Lab) -> None:
    done = lab.run("export", **request_of(lab, format="ova", verify=True))
    assert done["ovf_path"] == str(lab.root / "out/web.ova")
    assert done["manifest"] == str(lab.root / "out/artifact-manifest.json")
    assert done["verified"]
    assert done["read"] == 6 * MIB
    assert set(done["files"]) == {str(path) for path in (lab.root / "out").iterdir()}
    assert hypersdk.verify_export(lab.root / "out")


def test_what_is_chosen_is_done(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_KEY", "correct horse")
    done = lab.run(
        "export",
        **request_of(
            lab, exclude=["vdb"], compress=True, compression="zstd", level=5, checksum="blake3",
            passphrase="env:EXPORT_KEY", manifest_encoding="yaml", snapshot=True,
            snapshot_keep=True, manifest_tags={"why": "test"}, snapshot_quiesce=False,
        ),
    )  # fmt: skip
    names = sorted(Path(file).name for file in done["files"])
    assert "web-disk-0.raw.zst.age" in names
    assert "web-disk-0.raw.zst.age.blake3" in names
    assert "artifact-manifest.yaml" in names
    (snapshot,) = lab.mock().snapshots.snapshots("web")
    assert done["snapshot"] == snapshot.name == f"job-{lab.last.job.id}"
    assert "correct horse" not in str(lab.last.lines) + str(done)


def test_an_export_in_the_way(lab: Lab) -> None:
    lab.run("export", **request_of(lab))
    before = leftovers(lab.root / "out")
    with pytest.raises(AlreadyExists):
        lab.run("export", **request_of(lab))
    assert leftovers(lab.root / "out") == before
    assert lab.run("export", **request_of(lab, overwrite=True))["size"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("moment", ["lost export", "after export"])
def test_an_export_that_was_complete_is_not_read_again(
    lab: Lab, moment: str, overwrite: bool
) -> None:
    if overwrite:
        lab.run("export", **request_of(lab))
    request = request_of(lab, overwrite=overwrite)
    kill(lab.root, "export", moment, request)
    out = lab.root / "out"
    before = {path.name: path.stat().st_ino for path in out.iterdir() if path.suffix != ".job"}
    run = resume(lab, "export", request)
    assert run.seen == []
    assert {path.name: path.stat().st_ino for path in out.iterdir()} == before
    assert hypersdk.verify_export(out)
    assert {Path(file).name for file in run.result["files"]} == set(before)


def test_a_disk_that_is_complete_is_not_read_again(lab: Lab) -> None:
    request = request_of(lab)

    # The first disk is 4 MiB of data at 2 MiB/s and 4 MiB of zeroes, the second one 2 MiB of data.
    kill(lab.root, "export", str(8 * MIB), request)
    run = resume(lab, "export", request)
    assert hypersdk.verify_export(lab.root / "out")
    assert (lab.root / "out/web-disk-1.raw").read_bytes() == lab.content("web", "vdb")
    assert {each.task for each in run.seen} <= {"web/vda", "web/vdb"}


def test_cancelled_and_tried_again(lab: Lab) -> None:
    request = request_of(lab)
    runs: list[FakeRun] = []
    run = FakeRun(
        job_of("export", request), reporter=cancelling(lambda: runs[0], MIB), share=lambda: MIB
    )
    runs.append(run)
    with pytest.raises(Interrupted):
        lab.kinds()["export"].work(request, run)
    out = lab.root / "out"
    assert not out.exists() or all(name.startswith(".") for name in leftovers(out))
    again(lab, "export", request)
    assert hypersdk.verify_export(out)
    assert not [name for name in leftovers(out) if name.startswith(".")]


def place(lab: Lab) -> Path:
    made = lab.root / "place"
    made.mkdir(exist_ok=True)
    return made


def test_brought_to_a_place(lab: Lab) -> None:
    url = f"file://{place(lab)}"
    done = lab.run("export", **request_of(lab, upload=url, keep_local=False))
    assert leftovers(lab.root / "place") == ["web"]
    assert sorted(Path(each).name for each in done["uploaded"]) == leftovers(place(lab) / "web")
    assert not done["local"]
    assert done["files"] == []
    assert not (lab.root / "out").exists()


def test_files_that_arrived_are_not_sent_again(lab: Lab) -> None:
    request = request_of(lab, upload=f"file://{place(lab)}")
    kill(lab.root, "export", "after export", request)
    sent = place(lab) / "web"
    sent.mkdir()
    here = lab.root / "out/web-disk-0.raw"
    (sent / here.name).write_bytes(here.read_bytes())  # arrived, and nobody could note it
    before = (sent / here.name).stat().st_ino
    run = resume(lab, "export", request)
    assert (sent / here.name).stat().st_ino == before
    assert len(leftovers(sent)) == len(run.result["uploaded"])
    assert not [each for each in run.seen if each.task == "web/vda"]


def test_another_file_at_the_place_is_not_taken_for_ours(lab: Lab) -> None:
    sent = place(lab) / "web"
    sent.mkdir()
    (sent / "web-disk-0.raw").write_bytes(b"of others")
    request = request_of(lab, upload=f"file://{place(lab)}")
    steps = Steps()
    run = FakeRun(job_of("export", request), steps)
    with pytest.raises(AlreadyExists):
        lab.kinds()["export"].work(request, run)
    assert (sent / "web-disk-0.raw").read_bytes() == b"of others"
    # The export itself is complete, and so it stays for the next try.
    (sent / "web-disk-0.raw").unlink()
    later = again(lab, "export", request)
    assert not [each for each in later.seen if each.task == "web/vda"]


def test_streamed_to_a_place(lab: Lab) -> None:
    request = request_of(
        lab, format="ovf", upload=f"file://{place(lab)}", stream_upload=True, manifest=False
    )
    kill(lab.root, "export", str(MIB), request)
    run = resume(lab, "export", request)
    assert run.result["files"] == []
    assert "web-disk-0.vmdk" in leftovers(place(lab) / "web")


def test_the_guest_that_was_shut_down_by_a_killed_run_runs_again(lab: Lab) -> None:
    lab.mock().lifecycle.start("web")
    request = request_of(lab, power_off=True)
    kill(lab.root, "export", str(MIB), request)
    assert lab.mock().inventory.instance("web").state.value == "stopped"
    resume(lab, "export", request)
    assert lab.mock().inventory.instance("web").state.value == "running"


def test_the_snapshot_of_a_killed_run_goes(lab: Lab) -> None:
    request = request_of(lab, snapshot=True, snapshot_quiesce=False)
    kill(lab.root, "export", str(MIB), request)
    assert len(lab.mock().snapshots.snapshots("web")) == 1
    resume(lab, "export", request)
    assert lab.mock().snapshots.snapshots("web") == []


@pytest.mark.parametrize(
    ("more", "error", "said"),
    [
        ({"passphrase": "correct horse"}, InvalidInput, "request.passphrase: a secret must be"),
        ({"passphrase": "prompt:"}, InvalidInput, "no terminal"),
        ({"passphrase": "env:A", "recipients": ["age1x"]}, InvalidInput, "not to both"),
        ({"compression": "zstd"}, InvalidInput, "go with request.compress"),
        ({"adaptive": True}, InvalidInput, "needs request.bandwidth"),
        ({"burst": 5}, InvalidInput, "goes with request.bandwidth"),
        ({"snapshot_keep": True}, InvalidInput, "go with request.snapshot"),
        ({"snapshot": True, "snapshot_most": 2}, InvalidInput, "goes with request.snapshot_keep"),
        ({"snapshot": True, "power_off": True}, InvalidInput, "needs no snapshot"),
        ({"manifest": False, "manifest_target": "raw"}, InvalidInput, "go with request.manifest"),
        ({"keep_local": False}, InvalidInput, "without request.upload"),
        ({"format": "tar"}, InvalidInput, "request.format: "),
        ({"output": "out"}, InvalidInput, "no absolute path"),
        ({"output": "/elsewhere"}, NotAllowed, "outside of the folders"),
        ({"upload": "file:///elsewhere"}, NotAllowed, "outside of the folders"),
        ({"hypervisor": "gone"}, NotFound, "gone"),
    ],
)
def test_refused(lab: Lab, more: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        lab.kinds(lab.root)["export"].plan(request_of(lab, **more))
    assert "correct horse" not in str(caught.value)


def test_a_folder_that_cannot_be_made(lab: Lab) -> None:
    (lab.root / "out").write_text("a file")
    with pytest.raises(AlreadyExists):
        lab.run("export", **request_of(lab))
    assert (lab.root / "out").read_text() == "a file"
