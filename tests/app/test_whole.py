"""From a request over HTTP to a restore point, with every process that takes part."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk import MockHypervisor, Protect, connect, init_repository, open_repository
from tests.app.daemons import PATIENCE, Daemon, daemon, until
from tests.app.test_packaging import metric_names
from tests.estate.receiver import receiving

MIB = 1 << 20


@pytest.fixture
def lab(tmp_path: Path) -> MockHypervisor:
    """With real disk files; ``web`` has 6 MiB of data."""
    hypervisor = connect(f"mock://{tmp_path}/lab")
    assert isinstance(hypervisor, MockHypervisor)
    hypervisor.create_instance("web", {"vda": 16 * MIB})
    with hypervisor.guest("web", "vda") as guest:
        guest.write(MIB, random.Random(1).randbytes(6 * MIB))
    return hypervisor


def submit(running: Daemon, repository: str = "main") -> str:
    request = {"hypervisor": "lab", "instance": "web", "repository": repository}
    answer = running.request("POST", "/v1/jobs", {"kind": "backup", "request": request})
    assert answer.status == 201, answer
    return str(answer.json["items"][0]["id"])


def test_a_backup_by_http(tmp_path: Path, lab: MockHypervisor) -> None:
    init_repository(str(tmp_path / "repository"), protect=Protect.none()).close()
    with receiving() as receiver:
        settings = (
            f"hypervisors: {{lab: {{url: 'mock://{tmp_path}/lab', budget: {{jobs: 2}}}}}}\n"
            f"repositories: {{main: '{tmp_path}/repository'}}\n"
            f"webhooks: [{{name: chat, url: '{receiver.url}', events: [job.completed]}}]\n"
            "webhooks_allow_private: true\n"
        )
        with daemon(tmp_path, settings=settings) as running:
            job = submit(running)
            done = until(
                lambda: (j := running.get(f"/v1/jobs/{job}"))["state"] == "completed" and j, "job"
            )
            assert done["result"]["size"] == 16 * MIB
            assert done["result"]["stored"] >= 6 * MIB
            point = done["result"]["point"]
            (shown,) = running.get("/v1/repositories/main/points")["items"]
            assert (shown["id"], shown["instance"]) == (point, "web")

            told = {each["name"] for each in running.get("/v1/events/past?limit=1000")["items"]}
            assert {"job.created", "job.started", "job.completed", "backup.completed"} <= told
            until(lambda: receiver.received, "the webhook")
            assert receiver.received[0].headers["webhook-signature"].startswith("v1,")

            figures = running.request("GET", "/metrics").body.decode()
            there = set(re.findall(r"^# TYPE (\w+) ", figures, re.MULTILINE))
            there |= {f"{name}_{part}" for name in there for part in ("bucket", "count")}
            assert metric_names() <= there

            running.signal(signal.SIGTERM)
            assert running.ended() == 0
    with open_repository(str(tmp_path / "repository")) as repository:
        (kept,) = repository.points("web")
        assert kept.id == point
        with repository.source(kept, kept.disks[0]) as source:
            buffer = bytearray(6 * MIB)
            source.readinto(MIB, memoryview(buffer))
    assert buffer == random.Random(1).randbytes(6 * MIB)


def test_a_job_goes_on_after_its_worker_was_killed(tmp_path: Path, lab: MockHypervisor) -> None:
    init_repository(str(tmp_path / "repository"), protect=Protect.none()).close()
    settings = (
        # Slow enough to be killed in the middle.
        f"hypervisors: {{lab: {{url: 'mock://{tmp_path}/lab', budget: {{bandwidth: 4MiB/s}}}}}}\n"
        f"repositories: {{main: '{tmp_path}/repository'}}\n"
    )
    with daemon(tmp_path, settings=settings) as running:
        pid = running.worker()
        job = submit(running)
        until(lambda: running.get(f"/v1/jobs/{job}")["state"] == "running", "its start")
        os.kill(pid, signal.SIGKILL)
        running.worker(2)
        done = until(
            lambda: (j := running.get(f"/v1/jobs/{job}"))["state"] == "completed" and j, "its end"
        )
        assert done["run"] == 1
        (shown,) = running.get("/v1/repositories/main/points")["items"]
        assert shown["id"] == done["result"]["point"]


def test_a_drained_daemon_leaves_its_job_to_the_next_one(
    tmp_path: Path, lab: MockHypervisor
) -> None:
    init_repository(str(tmp_path / "repository"), protect=Protect.none()).close()
    slow = (
        f"hypervisors: {{lab: {{url: 'mock://{tmp_path}/lab', budget: {{bandwidth: 64KiB/s}}}}}}\n"
        f"repositories: {{main: '{tmp_path}/repository'}}\ndrain_seconds: 0.5\n"
    )
    with daemon(tmp_path, settings=slow) as running:
        job = submit(running)
        until(lambda: running.get(f"/v1/jobs/{job}")["state"] == "running", "its start")
        with follower(running) as events:
            running.signal(signal.SIGTERM)
            # Who follows events does not keep it from ending.
            assert running.ended() == 0
            while events.recv(65536):
                pass
    with daemon(tmp_path, settings=slow.replace("64KiB", "64MiB")) as again:
        done = until(
            lambda: (j := again.get(f"/v1/jobs/{job}"))["state"] == "completed" and j, "its end"
        )
        assert done["run"] == 2


def test_a_second_signal_ends_it_at_once(tmp_path: Path, lab: MockHypervisor) -> None:
    init_repository(str(tmp_path / "repository"), protect=Protect.none()).close()
    settings = (
        f"hypervisors: {{lab: {{url: 'mock://{tmp_path}/lab', budget: {{bandwidth: 64KiB/s}}}}}}\n"
        f"repositories: {{main: '{tmp_path}/repository'}}\ndrain_seconds: 3600\n"
    )
    with daemon(tmp_path, settings=settings) as running:
        job = submit(running)
        until(lambda: running.get(f"/v1/jobs/{job}")["state"] == "running", "its start")
        running.signal(signal.SIGTERM)
        running.wait_for("hypervisord drains")
        running.signal(signal.SIGTERM)
        assert running.ended() == 0


@contextlib.contextmanager
def follower(running: Daemon) -> Iterator[socket.socket]:
    """A client that follows events."""
    host, port = running.place().removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in connection.recv(65536)
        yield connection
