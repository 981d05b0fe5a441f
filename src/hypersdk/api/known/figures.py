"""What the dashboard is told every second."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from typing import Any

from hypersdk.api.known import shown
from hypersdk.api.known.reach import scheme_of
from hypersdk.api.known.spelling import now
from hypersdk.api.metrics import Metrics
from hypersdk.api.services import Services
from hypersdk.drivers.wrappers.breaker import BreakerState
from hypersdk.model.jobs import Job, JobFilter, JobState

#: Jobs that are told, newest first.
_RECENT = 50
_REQUESTS = "hypersdk_http_requests_total"
_SUM, _COUNT = "hypersdk_http_request_seconds_sum", "hypersdk_http_request_seconds_count"


class Figures:
    """One for all clients. Not for several threads at once."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self._services = services
        self._http = metrics.registry.restricted_registry([_REQUESTS, _SUM, _COUNT])
        self._used = (time.monotonic(), time.process_time())

    def read(self, tenant: str | None, clients: int) -> dict[str, Any]:
        """``tenant``: only what is its own. Asks the database."""
        services, moment = self._services, now()
        counts = services.feed.counts(tenant)
        alerts = self._alerts(tenant)
        waiting = counts[JobState.PENDING] + counts[JobState.SCHEDULED] + counts[JobState.PAUSED]
        requests, errors, average = self._requests()
        known = services.hypervisors.list(tenant=tenant)
        page = services.jobs.list(JobFilter(tenant=tenant), limit=_RECENT)
        return {
            "timestamp": moment.isoformat(),
            "jobs_active": counts[JobState.RUNNING],
            "jobs_completed": counts[JobState.COMPLETED],
            "jobs_failed": counts[JobState.FAILED],
            "jobs_pending": waiting,
            "jobs_cancelled": counts[JobState.CANCELLED],
            "queue_length": waiting,
            "http_requests": requests,
            "http_errors": errors,
            "avg_response_time": average,
            "memory_usage": _memory(),
            "cpu_usage": self._cpu(),
            "goroutines": threading.active_count(),
            "active_connections": clients + services.feed.followers,
            "websocket_clients": clients,
            "provider_stats": dict(Counter(scheme_of(each.url) for each in known)),
            "recent_jobs": [_recent(each) for each in page.jobs],
            "system_health": "degraded" if alerts else "healthy",
            "alerts": alerts,
            "uptime_seconds": round((moment - services.started).total_seconds(), 3),
        }

    def _alerts(self, tenant: str | None) -> list[dict[str, str]]:
        """Hypervisors that are left alone because they failed often."""
        services = self._services
        return [
            {
                "severity": "warning",
                "message": f"the hypervisor {each.name} does not answer",
                "source": each.name,
            }
            for each in services.hypervisors.list(tenant=tenant)
            if services.connections.breaker(each.name).state is BreakerState.OPEN
        ]

    def _requests(self) -> tuple[int, int, float]:
        """All, those that failed for a reason of ours, and milliseconds of one on the average."""
        total = errors = 0.0
        seconds = count = 0.0
        for family in self._http.collect():
            for sample in family.samples:
                if sample.name == _REQUESTS:
                    total += sample.value
                    errors += sample.value if sample.labels["status"] >= "500" else 0
                elif sample.name == _SUM:
                    seconds += sample.value
                elif sample.name == _COUNT:
                    count += sample.value
        return int(total), int(errors), round(1000 * seconds / count, 3) if count else 0.0

    def _cpu(self) -> float:
        """Per cent of one processor since the last look."""
        before, (wall, used) = self._used, (time.monotonic(), time.process_time())
        self._used = (wall, used)
        spent = wall - before[0]
        return round(100 * (used - before[1]) / spent, 2) if spent > 0 else 0.0


def _memory() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _recent(job: Job) -> dict[str, Any]:
    definition = shown.definition(job)
    started = job.started or job.created
    spent = ((job.ended or now()) - started).total_seconds() if job.started else 0.0
    found = {
        "id": job.id,
        "name": definition.name,
        "status": shown.status(job),
        "progress": int(shown.percent(job)),
        "start_time": started.isoformat(),
        "duration_seconds": round(spent, 3),
        "provider": definition.metadata.get("hypervisor", ""),
        "vm_name": definition.vm_path,
        "vm_path": definition.vm_path,
        "output_dir": definition.output_dir,
        "format": definition.format,
        "compress": definition.compress,
        "created_at": job.created.isoformat(),
        "updated_at": job.updated.isoformat(),
    }
    if job.ended is not None:
        found["end_time"] = job.ended.isoformat()
    if job.error is not None:
        found["error_msg"] = job.error.message
    return found
