"""Figures for Prometheus. Their names are documented in docs/api.md, which a test compares."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from hypersdk.model.estate import Event
from hypersdk.model.jobs import Job, JobState

#: Seconds.
_REQUEST_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_JOB_BUCKETS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
#: Ends of jobs that are remembered, so that none counts twice when its record changes again.
_REMEMBERED = 10_000
#: Fields of results that are bytes.
_BYTES = ("read", "written", "stored")


class Scraped(Protocol):
    """What is asked for when somebody reads the figures."""

    def gauges(self) -> Iterator[tuple[str, str, tuple[str, ...], dict[tuple[str, ...], float]]]:
        """Name, help, names of labels, and values by labels."""
        ...


class Metrics:
    """All figures of one daemon. Safe in threads."""

    def __init__(self, version: str, scraped: Scraped) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.registry.register(_Gauges(scraped))
        self._requests = Counter(
            "hypersdk_http_requests",
            "Requests that were answered.",
            ["route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "hypersdk_http_request_seconds",
            "Time until a request was answered, without streams.",
            ["route"],
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.open_requests = Gauge(
            "hypersdk_http_open_requests",
            "Requests that are being answered.",
            registry=self.registry,
        )
        self._jobs = Histogram(
            "hypersdk_job_seconds",
            "Time from the first start of a job to its end, as seen by this process.",
            ["kind", "state"],
            buckets=_JOB_BUCKETS,
            registry=self.registry,
        )
        self._bytes = Counter(
            "hypersdk_bytes",
            "Bytes that completed jobs read, wrote and stored, as seen by this process.",
            ["kind", "what"],
            registry=self.registry,
        )
        self._events = Counter(
            "hypersdk_events",
            "Events, as seen by this process.",
            ["name"],
            registry=self.registry,
        )
        Gauge("hypersdk_build_info", "Always 1.", ["version"], registry=self.registry).labels(
            version
        ).set(1)
        Gauge("hypersdk_start_time_seconds", "When the daemon began.", registry=self.registry).set(
            time.time()
        )
        self._counters: dict[tuple[str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._ended: OrderedDict[tuple[str, int], None] = OrderedDict()

    def request(self, route: str, status: int, seconds: float | None) -> None:
        """Note an answer; ``seconds`` is None for a stream."""
        counter = self._counters.get((route, status))
        if counter is None:  # finding a child by its labels costs more than counting
            counter = self._requests.labels(route, status)
            self._counters[route, status] = counter
        counter.inc()
        if seconds is None:
            return
        histogram = self._histograms.get(route)
        if histogram is None:
            histogram = self._histograms[route] = self._seconds.labels(route)
        histogram.observe(seconds)

    def changed(self, jobs: Sequence[Job], events: Sequence[Event]) -> None:
        """What the feed saw; called from its thread."""
        for event in events:
            self._events.labels(event.name).inc()
        for job in jobs:
            if job.state.ended and job.ended is not None and self._first(job):
                self._end(job)

    def render(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def _first(self, job: Job) -> bool:
        key = (job.id, job.run)
        if key in self._ended:
            return False
        self._ended[key] = None
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        return True

    def _end(self, job: Job) -> None:
        if job.duration is not None:
            seconds = job.duration.total_seconds()
            self._jobs.labels(job.kind, job.state.value).observe(seconds)
        if job.state is JobState.COMPLETED and job.result:
            for what in _BYTES:
                amount = job.result.get(what)
                if isinstance(amount, int | float) and amount > 0:
                    self._bytes.labels(job.kind, what).inc(amount)


class _Gauges(Collector):
    """Makes figures of what is asked for at that moment."""

    def __init__(self, scraped: Scraped) -> None:
        self._scraped = scraped

    def collect(self) -> Iterator[Metric]:
        for name, words, labels, values in self._scraped.gauges():
            family = GaugeMetricFamily(name, words, labels=labels)
            for label, value in values.items():
                family.add_metric(label, value)
            yield family

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked when it is registered."""
        return iter(())
