"""How fast the daemon answers: requests per second, waits at a steady rate, and event streams.

The daemon is the real one on SQLite, with as many finished jobs in its database as wanted. The
client shares the machine's processors with it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path

import sqlalchemy as sa

from bench.daemon.figures import Figure
from bench.daemon.load import Target, as_fast_as_possible, at_a_rate
from bench.daemon.running import daemon
from bench.measure import BenchError
from hypersdk.database.engine import Database
from hypersdk.database.events import EventLog
from hypersdk.database.moments import to_number
from hypersdk.database.tables import jobs
from hypersdk.estate.hypervisors import HypervisorStore
from hypersdk.jobs.store import SUBMIT_MOST, JobStore
from hypersdk.model.jobs import NewJob

#: Seconds that the daemon may take to begin.
_BEGIN = 60.0
_CONNECTIONS = 16
#: Requests per second of the steady load, and followers of events.
_RATE, _FOLLOWERS = 200, 500


def measure(folder: Path, *, seconds: float, finished: int) -> list[Figure]:
    """Begin a daemon in ``folder`` and load it. Raises BenchError."""
    job = _fill(folder, finished)
    with daemon(folder, "--no-worker") as (target, process, began):
        found = [Figure(f"start to ready with {finished} jobs", began, "s", "≤ 2")]
        found += asyncio.run(_load(target, process, job, seconds))
        found.append(asyncio.run(_follow(target, folder)))
        found.append(Figure("memory of the daemon", _memory(process), "MiB", "≤ 400"))
    return found


def _fill(folder: Path, finished: int) -> str:
    """Jobs that ended, and a hypervisor; the id of one job."""
    database = Database.open(f"sqlite:///{folder}/hypervisord.db")
    HypervisorStore(database).create("lab", f"mock://{folder}/lab")
    store, made = JobStore(database), ""
    new = NewJob(kind="inventory", request={"hypervisor": "lab"})
    for at in range(0, finished, SUBMIT_MOST):
        made = store.submit([new] * min(SUBMIT_MOST, finished - at))[0].id
    now = to_number(database.now())
    with database.write() as connection:
        ended = {"state": "completed", "run": 1, "started": now, "ended": now, "result": {}}
        connection.execute(sa.update(jobs).values(ended))
    database.close()
    return made


async def _load(
    target: Target, process: subprocess.Popen[bytes], job: str, seconds: float
) -> list[Figure]:
    found = []
    reads = {
        "status": "/v1/status",
        "a job": f"/v1/jobs/{job}",
        "a hypervisor": "/v1/hypervisors/lab",
        "the newest 50 jobs": "/v1/jobs?limit=50",
    }
    for name, path in reads.items():
        spent = _processor(process)
        load = await as_fast_as_possible(target, [path], connections=_CONNECTIONS, seconds=seconds)
        if load.failed:
            raise BenchError(f"{load.failed} requests for {path} failed")
        spent = _processor(process) - spent
        wanted = "≥ 1500" if name != "the newest 50 jobs" else ""
        found.append(Figure(f"reads of {name}", load.rate, "requests/s", wanted))
        found.append(Figure(f"processor for {name}", spent / len(load.seconds) * 1e6, "µs/request"))
    one = await as_fast_as_possible(target, [reads["the newest 50 jobs"]], connections=1, seconds=1)
    found.append(Figure("one list of 50 jobs, p99", one.percentile(0.99) * 1e3, "ms", "≤ 50"))
    steady = await at_a_rate(target, "/v1/status", rate=_RATE, seconds=seconds)
    for share in (0.5, 0.99):
        wanted = "< 20" if share == 0.99 else ""
        value = steady.percentile(share) * 1e3
        found.append(Figure(f"status at {_RATE}/s, p{share * 100:.0f}", value, "ms", wanted))
    return found


async def _follow(target: Target, folder: Path) -> Figure:
    """Seconds from an event to the last of many followers that heard of it."""
    streams = []
    for _ in range(_FOLLOWERS):
        reader, writer = await asyncio.open_connection(target.host, target.port)
        writer.write(target.request("/v1/events"))
        streams.append((reader, writer))
    for reader, _ in streams:
        await reader.readuntil(b"retry: 2000\n\n")
    database = Database.open(f"sqlite:///{folder}/hypervisord.db")
    began = time.perf_counter()
    await asyncio.to_thread(EventLog(database).tell, "vm.started", "hypervisors/lab/instances/web")
    for reader, _ in streams:
        await asyncio.wait_for(reader.readuntil(b"vm.started"), 30)
    took = time.perf_counter() - began
    database.close()
    for _, writer in streams:
        writer.close()
    return Figure(f"an event at {_FOLLOWERS} followers", took, "s", "≤ 1")


def _processor(process: subprocess.Popen[bytes]) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(process: subprocess.Popen[bytes]) -> float:
    """MiB that are resident."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
