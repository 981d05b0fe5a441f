"""The daemon on PostgreSQL: workers beside it, and a database that goes away and comes back."""

from __future__ import annotations

import random
import signal
from pathlib import Path

from hypersdk import MockHypervisor, Protect, connect, init_repository
from tests.app.daemons import daemon, program, until
from tests.postgres import Server

MIB = 1 << 20


def test_a_worker_elsewhere_does_the_jobs_and_a_lost_database_stops_nobody(
    tmp_path: Path, postgres_server: Server
) -> None:
    hypervisor = connect(f"mock://{tmp_path}/lab")
    assert isinstance(hypervisor, MockHypervisor)
    hypervisor.create_instance("web", {"vda": 4 * MIB})
    with hypervisor.guest("web", "vda") as guest:
        guest.write(0, random.Random(1).randbytes(MIB))
    init_repository(tmp_path / "repository", protect=Protect.none()).close()
    url = postgres_server.database()
    settings = (
        f"hypervisors: {{lab: {{url: 'mock://{tmp_path}/lab', queue: site-a}}}}\n"
        f"repositories: {{main: '{tmp_path}/repository'}}\n"
    )
    request = {"hypervisor": "lab", "instance": "web", "repository": "main"}
    words = ("worker", "--database", url, "--queues", "site-a", "--state-dir", str(tmp_path / "b"))
    with (
        # Watched by systemd, it looks often whether it is still the one daemon.
        daemon(
            tmp_path, "--no-worker", "--database", url, settings=settings, WATCHDOG_USEC="500000"
        ) as running,
        program(tmp_path, *words) as worker,
    ):
        worker.wait_for("worker runs")

        def backup() -> None:
            answer = running.request("POST", "/v1/jobs", {"kind": "backup", "request": request})
            assert answer.status == 201, answer
            job = answer.json["items"][0]["id"]
            until(lambda: running.get(f"/v1/jobs/{job}")["state"] == "completed", "the backup")

        backup()
        postgres_server.stop("immediate")
        try:
            lost = running.request("GET", "/v1/jobs")
            assert lost.status == 503
            assert lost.json["retryable"]
            running.wait_for("the database is away")
        finally:
            postgres_server.start()
        until(lambda: running.request("GET", "/v1/jobs").status == 200, "the database's return")
        running.wait_for("the database is back")
        backup()
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0
        running.signal(signal.SIGTERM)
        assert running.ended() == 0
