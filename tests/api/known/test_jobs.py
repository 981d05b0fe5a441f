from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from hypersdk.database.moments import to_number
from hypersdk.database.tables import jobs
from hypersdk.model.accounts import Role
from hypersdk.model.jobs import NewJob
from tests.api.known.daemons import Known, knowing, working
from tests.api.serving import until

#: Of a definition that is shown.
DEFINITION = {
    "id", "name", "vm_path", "output_path", "output_dir", "format", "compress", "created_at",
    "metadata",
}  # fmt: skip
PROGRESS = {
    "phase", "current_file", "current_step", "files_downloaded", "total_files",
    "bytes_downloaded", "total_bytes", "percent_complete", "estimated_remaining", "export_method",
}  # fmt: skip


def _folder() -> str:
    """A place that no other test exports to: equal jobs are one."""
    return f"out-{uuid4().hex}"


def _submit(known: Known, **fields: Any) -> str:
    body = {"vm_path": "web", "output_path": _folder(), **fields}
    id: str = known.post("/jobs/submit", body)["job_id"]
    known.daemon.services.jobs.cancel(id)  # so that the next one is not the same
    return id


def test_health_and_status(known: Known) -> None:
    assert set(known.get("/health")) == {"status", "timestamp"}
    assert known.get("/health")["status"] == "healthy"
    status = known.get("/status")
    assert set(status) == {
        "version", "uptime", "total_jobs", "running_jobs", "completed_jobs", "failed_jobs",
        "cancelled_jobs", "timestamp",
    }  # fmt: skip
    assert status["uptime"].endswith("s")
    datetime.fromisoformat(status["timestamp"])


def test_capabilities_say_that_the_daemon_exports_itself(known: Known) -> None:
    found = known.get("/capabilities")
    assert set(found) == {"capabilities", "default_method", "timestamp"}
    assert set(found["capabilities"]) == {"ctl", "govc", "ovftool", "web"}
    assert found["default_method"] == "web"
    for word, each in found["capabilities"].items():
        assert set(each) == {
            "method", "available", "version", "path", "priority", "last_checked",
        }  # fmt: skip
        assert each["available"] == (word == "web")


def test_one_definition_becomes_an_export(known: Known) -> None:
    folder = _folder()
    answer = known.post(
        "/jobs/submit",
        {
            "name": "nightly",
            "vm_path": "/DC0/vm/web",
            "output_path": folder,
            "format": "ova",
            "compress": True,
            "thin": True,
            "method": "govc",
            "options": {
                "parallel_downloads": 3, "remove_cdrom": True, "show_individual_progress": True,
                "enable_pipeline": False, "hyper2kvm_poll_interval": 0, "libvirt_uri": "",
            },
            "metadata": {"team": "a"},
        },
    )  # fmt: skip
    assert set(answer) == {"job_ids", "accepted", "rejected", "job_id", "timestamp"}
    assert (answer["accepted"], answer["rejected"]) == (1, 0)
    job = known.daemon.services.jobs.get(answer["job_id"])
    exports = known.daemon.services.settings.folders.exports
    assert job.kind == "export"
    assert job.request == {
        "hypervisor": "lab",
        "instance": "web",
        "output": f"{exports}/{folder}",
        "format": "ova",
        "compress": True,
        "parallel": 3,
    }
    shown = known.get(f"/jobs/{job.id}")
    assert set(shown) == {"definition", "status", "updated_at"}
    assert shown["status"] == "pending"
    assert set(shown["definition"]) == DEFINITION | {"options"}
    assert shown["definition"]["name"] == "nightly"
    assert shown["definition"]["vm_path"] == "/DC0/vm/web"
    assert shown["definition"]["output_path"] == f"{exports}/{folder}"
    assert shown["definition"]["options"] == {"parallel_downloads": 3}
    assert shown["definition"]["metadata"] == {"team": "a", "hypervisor": "lab"}
    known.daemon.services.jobs.cancel(job.id)


@pytest.mark.parametrize("wrapped", [True, False])
def test_several_definitions_each_get_their_answer(known: Known, wrapped: bool) -> None:
    wanted: list[dict[str, Any]] = [
        {"vm_path": "web", "output_dir": _folder()},
        {"vm_path": "web", "output_dir": _folder(), "password": "s3cret"},
        {"vm_path": "web", "outputdir": "x"},
    ]
    answer = known.post("/jobs/submit", {"jobs": wanted} if wrapped else wanted)
    assert set(answer) == {"job_ids", "accepted", "rejected", "errors", "job_id", "timestamp"}
    assert (answer["accepted"], answer["rejected"]) == (1, 2)
    assert answer["errors"][0].startswith("jobs[1]: a job holds no credentials")
    assert answer["errors"][1].startswith("jobs[2]: jobs[2].outputdir: there is no such field")
    assert "output_dir" in answer["errors"][1]
    assert "s3cret" not in str(answer)
    known.daemon.services.jobs.cancel(answer["job_id"])


def test_two_jobs_have_no_single_id(known: Known) -> None:
    wanted = [{"vm_path": "web", "output_dir": _folder()} for _ in range(2)]
    answer = known.post("/jobs/submit", wanted)
    assert "job_id" not in answer
    for id in answer["job_ids"]:
        known.daemon.services.jobs.cancel(id)


@pytest.mark.parametrize("header", ["application/x-yaml", "text/yaml", "text/plain"])
def test_yaml_is_taken(known: Known, header: str) -> None:
    body = (
        f"jobs:\n- vm_path: web\n  output_path: {_folder()}\n  created_at: 2026-01-02T03:04:05Z\n"
    )
    answer = known.client.post("/jobs/submit", content=body, headers={"Content-Type": header})
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 1
    known.daemon.services.jobs.cancel(answer.json()["job_id"])


@pytest.mark.parametrize("body", ["{", "- [", "42", "[]", '{"jobs": 3}', '{"jobs": [], "x": 1}'])
def test_what_is_no_job_is_refused(known: Known, body: str) -> None:
    answer = known.client.post("/jobs/submit", content=body)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) == {"error", "hint", "timestamp"}


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"vcenter": {"server": "vc", "username": "u"}}, 400, "no credentials"),
        ({"vcenter": {"server": "vc.example.org"}}, 404, "no hypervisor at vc.example.org"),
        ({"vcenter_url": "https://vc.example.org/sdk"}, 404, "no hypervisor"),
        ({"vcenter_url": "http://[bad"}, 400, ""),
        ({"insecure": True}, 400, "any certificate"),
        ({"format": "zip"}, 400, "zip"),
        ({"method": "magic"}, 400, "magic"),
        ({"options": {"enable_pipeline": True}}, 501, "enable_pipeline"),
        ({"options": {"libvirt_integration": True}}, 501, "libvirt_integration"),
        ({"options": {"hyper2kvm_daemon": True}}, 501, "hyper2kvm_daemon"),
        ({"options": {"pipeline_fix": True}}, 501, "pipeline_fix"),
        ({"options": {"parallel_downloads": 99}}, 400, "parallel_downloads"),
        ({"output_path": "a", "output_dir": "b"}, 400, "differ"),
        ({"id": "../x"}, 400, "id"),
        ({"metadata": {"known.name": "x"}}, 400, "known.name"),
        ({"created_at": "yesterday"}, 400, "created_at"),
    ],
)
def test_what_cannot_be_done_is_refused(
    known: Known, fields: dict[str, Any], status: int, words: str
) -> None:
    body = {"vm_path": "web", **fields}
    assert words in known.refused("POST", "/jobs/submit", body, status=status)["error"]


def test_an_id_makes_submitting_twice_one_job(known: Known) -> None:
    id = f"mine-{uuid4().hex[:8]}"
    body = {"id": id, "vm_path": "web", "output_path": _folder()}
    assert known.post("/jobs/submit", body)["job_ids"] == [id]
    assert known.post("/jobs/submit", body)["job_ids"] == [id]
    known.daemon.services.jobs.cancel(id)


def test_a_vcenter_is_matched_to_a_hypervisor(known: Known) -> None:
    services = known.daemon.services
    services.hypervisors.create("vc", "vsphere://admin@vc.example.net:8443/DC0")
    try:
        for server in ("vc.example.net", "VC.example.net:8443", "https://vc.example.net:8443/sdk"):
            id = _submit(known, vm_path="prod/web", datacenter="DC0", vcenter={"server": server})
            request = services.jobs.get(id).request
            assert request["hypervisor"] == "vc"
            assert request["instance"] == "DC0/vm/prod/web"
        wrong = {"vm_path": "web", "vcenter": {"server": "vc.example.net:443"}}
        known.refused("POST", "/jobs/submit", wrong, status=404)
        # Two are known now, none of them is the default.
        known.refused("POST", "/jobs/submit", {"vm_path": "web"}, status=400)
        known.post("/jobs/submit", {"vm_path": "web", "output_path": _folder()}, hypervisor="lab")
    finally:
        for job in known.daemon.services.jobs.list().jobs:
            if not job.state.ended:
                services.jobs.cancel(job.id)
        services.hypervisors.delete("vc")


def test_jobs_are_queried_by_id_and_state(known: Known) -> None:
    id = _submit(known)
    for found in (
        known.post("/jobs/query", {"job_ids": [id, "nobody"]}),
        known.post("/jobs/query", {"job_ids": [id], "status": ["cancelled"]}),
    ):
        assert set(found) == {"jobs", "total", "timestamp"}
        assert [job["definition"]["id"] for job in found["jobs"]] == [id]
        assert found["total"] == 1
    assert known.post("/jobs/query", {"job_ids": [id], "status": ["running"]})["jobs"] == []
    assert known.get("/jobs/query", all="true")["jobs"][0]["definition"]["id"] == id
    assert known.get("/jobs/query", status="running,failed")["jobs"] == []
    assert len(known.post("/jobs/query", {"all": True, "limit": 1})["jobs"]) == 1
    known.refused("POST", "/jobs/query", {"status": ["done"]}, status=400)
    known.refused("GET", "/jobs/query", status=400, limit=-1)


def test_cancelling_says_what_became_of_each(known: Known) -> None:
    id = known.post("/jobs/submit", {"vm_path": "web", "output_path": _folder()})["job_id"]
    answer = known.post("/jobs/cancel", {"job_ids": [id, "nobody"]})
    assert set(answer) == {"cancelled", "failed", "errors", "timestamp"}
    assert (answer["cancelled"], answer["failed"]) == ([id], ["nobody"])
    assert set(answer["errors"]) == {"nobody"}
    assert known.get(f"/jobs/{id}")["status"] == "cancelled"
    assert "errors" not in known.post("/jobs/cancel", {"job_ids": [id]})
    known.refused("POST", "/jobs/cancel", {"job_ids": []}, status=400)


@pytest.mark.parametrize("path", ["/jobs/{}", "/jobs/progress/{}", "/jobs/logs/{}", "/jobs/eta/{}"])
def test_a_job_that_is_not_there(known: Known, path: str) -> None:
    known.refused("GET", path.format("nobody"), status=404)


def test_a_running_job_says_how_far_it_is(known: Known) -> None:
    id = known.post("/jobs/submit", {"vm_path": "web", "output_path": _folder()})["job_id"]
    assert known.get(f"/jobs/eta/{id}")["eta"] == {
        "message": "Job not started yet", "status": "pending",
    }  # fmt: skip
    seen = {"phase": "exporting", "subject": "web/vda", "done": 50, "total": 200}
    _seen(known, id, "running", seen)
    found = known.get(f"/jobs/progress/{id}")
    assert set(found) == {
        "job_id", "status", "timestamp", "progress", "transfer_rate_mbps", "started_at",
        "elapsed_seconds",
    }  # fmt: skip
    assert set(found["progress"]) == PROGRESS
    assert found["progress"]["percent_complete"] == 25.0
    assert found["progress"]["current_file"] == "web/vda"
    assert (found["progress"]["bytes_downloaded"], found["progress"]["total_bytes"]) == (50, 200)
    eta = known.get(f"/jobs/eta/{id}")
    assert set(eta) == {"job_id", "status", "eta", "timestamp"}
    assert set(eta["eta"]) == {
        "estimated_completion", "time_remaining", "time_remaining_seconds", "elapsed",
        "elapsed_seconds", "percent_complete", "transfer_rate_mbps", "bytes_remaining",
    }  # fmt: skip
    assert eta["eta"]["bytes_remaining"] == 150
    _seen(known, id, "cancelled")


def _seen(known: Known, id: str, state: str, progress: dict[str, Any] | None = None) -> None:
    """As if a worker had written it, which has no part in these tests."""
    database = known.daemon.services.database
    with database.write() as connection:
        started = to_number(database.now()) - 10_000_000
        values = {"state": state, "started": started, "progress": progress}
        connection.execute(sa.update(jobs).where(jobs.c.id == id).values(**values))


def test_jobs_of_other_kinds_are_shown_too(known: Known) -> None:
    services = known.daemon.services
    id = services.jobs.submit([NewJob(kind="backup", request={"instance": "web"})])[0].id
    shown = known.get(f"/jobs/{id}")["definition"]
    assert set(shown) == DEFINITION
    assert shown["vm_path"] == "web"
    assert shown["metadata"] == {"kind": "backup"}
    services.jobs.pause(id)
    assert known.get(f"/jobs/{id}")["status"] == "pending"
    assert known.get(f"/jobs/{id}")["paused"] is True
    services.jobs.cancel(id)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    with knowing(tmp_path_factory.mktemp("running")) as found, working(found):
        yield found


def test_an_export_really_happens(running: Known) -> None:
    id = running.post("/jobs/submit", {"vm_path": "web", "format": "ova", "output_path": "done"})[
        "job_id"
    ]
    until(lambda: running.get(f"/jobs/{id}")["status"] not in ("pending", "running"), "the export")
    job = running.get(f"/jobs/{id}")
    assert job["status"] == "completed", job
    assert set(job) == {
        "definition", "status", "progress", "result", "started_at", "completed_at", "updated_at",
    }  # fmt: skip
    assert set(job["result"]) == {
        "vm_name", "output_dir", "ovf_path", "files", "output_files", "total_size", "duration",
        "success", "export_method",
    }  # fmt: skip
    assert job["result"]["success"] is True
    assert any(file.endswith(".ova") for file in job["result"]["files"])
    assert all(Path(file).is_file() for file in job["result"]["files"])
    assert job["result"]["duration"] > 0
    assert job["progress"]["percent_complete"] == 100.0
    logs = running.get(f"/jobs/logs/{id}")
    assert set(logs) == {"job_id", "logs", "log_count", "timestamp"}
    assert logs["log_count"] == len(logs["logs"]) > 0
    assert {"timestamp", "level", "message"} <= set(logs["logs"][0])
    eta = running.get(f"/jobs/eta/{id}")["eta"]
    assert eta["message"] == "Job already completed"
    assert set(eta) == {"message", "total_duration"}
    assert running.get(f"/jobs/progress/{id}")["completed_at"]


def test_a_failure_is_told_with_what_to_do(running: Known) -> None:
    id = running.post("/jobs/submit", {"vm_path": "nobody", "output_path": "none"})["job_id"]
    until(lambda: running.get(f"/jobs/{id}")["status"] == "failed", "the failure")
    job = running.get(f"/jobs/{id}")
    assert "nobody" in job["error"]
    assert "nobody" in running.get(f"/jobs/progress/{id}")["error"]


def test_a_tenant_sees_and_cancels_only_its_own(tmp_path: Path) -> None:
    with knowing(tmp_path) as known:
        daemon = known.daemon
        daemon.services.hypervisors.create("theirs", f"mock://{daemon.lab}", tenant="b")
        admin = daemon.account("root", Role.ADMIN)
        token = daemon.account("bob", Role.OPERATOR, "b")
        body = {"vm_path": "web", "output_path": "x"}
        with daemon.client(admin) as root, daemon.client(token) as bob:
            mine = root.post("/jobs/submit?hypervisor=lab", json=body).json()["job_id"]
            answer = bob.post("/jobs/submit", json=body)
            theirs = answer.json()["job_id"]
            assert daemon.services.jobs.get(theirs).tenant == "b"
            assert daemon.services.jobs.get(theirs).request["output"].endswith("/exports/b/x")
            assert bob.post("/jobs/submit?hypervisor=lab", json=body).status_code == 404
            assert bob.get(f"/jobs/{mine}").status_code == 404
            assert [job["definition"]["id"] for job in bob.get("/jobs/query").json()["jobs"]] == [
                theirs
            ]
            assert bob.get("/status").json()["total_jobs"] == 1
            assert bob.post("/jobs/cancel", json={"job_ids": [mine]}).json()["failed"] == [mine]
            # An id of somebody else's job tells nothing but that it is taken.
            taken = bob.post("/jobs/submit", json={"jobs": [{**body, "id": mine}]}).json()
            assert taken["rejected"] == 1
            assert bob.get("/libvirt/domains?hypervisor=lab").status_code == 404
