from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api.known.daemons import Known, knowing, working
from tests.api.serving import until

JOB = {"id", "name", "stage", "progress", "started_at", "elapsed_seconds", "status"}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    with knowing(tmp_path_factory.mktemp("workflow")) as found:
        yield found


@pytest.fixture
def exported(known: Known, request: pytest.FixtureRequest) -> Path:
    """A folder of its own below the daemon's exports, with one disk."""
    name = str(request.node.name).partition("[")[0]
    folder = Path(known.daemon.services.settings.folders.exports) / name
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "disk-0.vmdk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", image, "8M"], check=True)
    return folder


def _manifest(folder: Path, **fields: Any) -> dict[str, Any]:
    image = folder / "disk-0.vmdk"
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    return {
        "manifest_version": "1.0",
        "source": {"provider": "vsphere", "vm_name": "web"},
        "disks": [
            {
                "id": "disk-0", "source_format": "vmdk", "bytes": 8 << 20,
                "local_path": f"{folder.name}/{image.name}", "checksum": f"sha256:{digest}",
            }
        ],
        **fields,
    }  # fmt: skip


def test_a_manifest_is_checked(known: Known, exported: Path) -> None:
    good = _manifest(exported)
    assert known.post("/api/workflow/manifest/validate", good) == {"valid": True, "errors": []}
    text = yaml.safe_dump(good)
    answer = known.client.post(
        "/api/workflow/manifest/validate", content=text, headers={"Content-Type": "text/yaml"}
    )
    assert answer.json() == {"valid": True, "errors": []}
    for wrong, words in (
        ({**good, "manifest_version": "2.0"}, "manifest_version"),
        ({**good, "diks": []}, "diks"),
        (_manifest(exported, disks=[]), "disks"),
        ({**good, "disks": [{**good["disks"][0], "local_path": "absent.vmdk"}]}, "absent.vmdk"),
        ({"version": "1", "vms": []}, "another schema"),
    ):
        found = known.post("/api/workflow/manifest/validate", wrong)
        assert set(found) == {"valid", "errors"}
        assert found["valid"] is False
        assert words in found["errors"][0]
    answer = known.client.post("/api/workflow/manifest/validate", content="{")
    assert answer.status_code == 400


def test_a_manifest_becomes_conversions_that_run(known: Known, exported: Path) -> None:
    with working(known):
        body = _manifest(exported, output={"format": "qcow2", "filename": "web.qcow2"})
        done = known.post("/api/workflow/manifest/submit", body)
        assert set(done) == {"success", "manifest_path", "job_id", "job_ids"}
        assert done["manifest_path"] == str(exported)
        assert done["job_ids"] == [done["job_id"]]

        def ended() -> dict[str, Any] | None:
            jobs = known.get("/api/workflow/jobs", status="completed")["jobs"]
            return next((each for each in jobs if each["id"] == done["job_id"]), None)

        job = until(ended, "the conversion")
        assert set(job) == JOB
        assert (job["progress"], job["status"]) == (100, "completed")
    info = subprocess.check_output(["qemu-img", "info", exported / "web.qcow2"], text=True)
    assert "file format: qcow2" in info
    status = known.get("/api/workflow/status")
    assert set(status) == {
        "mode", "running", "queue_depth", "active_jobs", "processed_today", "failed_today",
        "max_workers", "uptime_seconds",
    }  # fmt: skip
    assert status["processed_today"] >= 1
    assert set(known.get("/api/workflow/jobs")) == {"jobs", "total"}
    assert known.get("/api/workflow/jobs/active") == {"jobs": [], "total": 0}


def test_a_manifest_becomes_an_import(known: Known, exported: Path) -> None:
    body = {"manifest": _manifest(exported), "hypervisor": "lab"}
    done = known.post("/api/workflow/manifest/submit", body)
    job = known.daemon.services.jobs.get(done["job_id"])
    assert job.kind == "import"
    assert job.request["hypervisor"] == "lab"
    assert job.request["source"] == str(exported / "disk-0.vmdk")
    assert job.request["name"] == "web"
    known.daemon.services.jobs.cancel(job.id)
    (exported / "web.ovf").write_text("<Envelope/>")
    again = known.post("/api/workflow/manifest/submit", body)
    assert known.daemon.services.jobs.get(again["job_id"]).request["source"].endswith("web.ovf")
    known.daemon.services.jobs.cancel(again["job_id"])
    nowhere = {**body, "hypervisor": "nowhere"}
    known.refused("POST", "/api/workflow/manifest/submit", nowhere, status=404)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pipeline": {"fix": {"enabled": True}}}, "pipeline.fix"),
        ({"configuration": {"hostname": "web"}}, "configuration"),
        ({"output": {"format": "qcow2", "filename": "../../x.qcow2"}}, "filename"),
        ({"disks": []}, "disks"),
    ],
)
def test_what_cannot_be_done_is_refused(
    known: Known, exported: Path, fields: dict[str, Any], words: str
) -> None:
    body = _manifest(exported, **fields)
    error = known.refused("POST", "/api/workflow/manifest/submit", body, status=400)
    assert words in error["error"]


def test_a_state_that_is_none(known: Known) -> None:
    answer = known.client.get("/api/workflow/jobs", params={"status": "done"})
    assert answer.status_code == 400
    assert "done" in answer.json()["error"]
