"""How fast the daemon answers while it works: fifty backups at once, each held to a slow rate."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from bench.daemon.figures import Figure
from bench.daemon.load import Target, at_a_rate
from bench.daemon.running import daemon
from bench.measure import BenchError
from hypersdk import MockHypervisor, init_repository
from hypersdk.client import Client
from hypersdk.contract.jobs import NewJobRecord
from hypersdk.model.units import MIB

#: Backups at once, and bytes of each.
JOBS = 50
_SIZE = 32 * MIB
#: Bytes per second of each: they run for a minute.
_RATE = MIB // 2
_REQUESTS = 200
#: Seconds for all of them to run.
_BEGIN = 60.0


def measure(folder: Path, seconds: float) -> list[Figure]:
    """``seconds``: of each load. Raises BenchError."""
    lab = MockHypervisor(folder / "lab")
    for number in range(JOBS):
        instance = lab.create_instance(f"web-{number}", {"vda": _SIZE})
        Path(instance.disks[0].path).write_bytes(os.urandom(_SIZE))
    init_repository(folder / "repository").close()
    settings = folder / "hypervisord.yaml"
    settings.write_text(
        f"workers: {{slots: {JOBS}}}\n"
        f"hypervisors: {{lab: 'mock://{folder}/lab'}}\n"
        f"repositories: {{main: {folder}/repository}}\n"
    )
    options = ("--config", str(settings), "--worker")
    with daemon(folder, *options) as (target, _, _):
        return _busy(target, seconds)


def _busy(target: Target, seconds: float) -> list[Figure]:
    with Client(f"http://{target.host}:{target.port}") as client:
        new = [
            NewJobRecord(
                kind="backup",
                request={
                    "hypervisor": "lab",
                    "instance": f"web-{number}",
                    "repository": "main",
                    "throttle": _RATE,
                },
            )
            for number in range(JOBS)
        ]
        if client.jobs.submit_all(new).rejected:
            raise BenchError("jobs were refused")
        end = time.monotonic() + _BEGIN
        while client.status().jobs.get("running", 0) < JOBS:
            if time.monotonic() > end:
                raise BenchError(f"{JOBS} jobs did not run at once")
            time.sleep(0.1)
        found = []
        for path in ("/v1/status", "/status"):
            load = asyncio.run(at_a_rate(target, path, rate=_REQUESTS, seconds=seconds))
            name = f"{path} at {_REQUESTS}/s while {JOBS} backups run, p99"
            found.append(Figure(name, load.percentile(0.99) * 1e3, "ms", "< 20"))
        if client.status().jobs.get("running", 0) < JOBS:
            raise BenchError("the backups ended before the measure did")
        for job in client.jobs.list(state=["running"], limit=1000):
            client.jobs.cancel(job.id)
    return found
