"""Figures that are asked for when Prometheus reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hypersdk.api.services import Services
from hypersdk.drivers.wrappers.breaker import BreakerState
from hypersdk.jobs.workforce import workforce
from hypersdk.model.errors import DatabaseError

Labels = tuple[str, ...]


class Scraping:
    """See `metrics.Scraped`. What the database does not say now is left out."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def gauges(self) -> Iterator[tuple[str, str, Labels, dict[Labels, float]]]:
        services = self._services
        yield (
            "hypersdk_event_followers",
            "Clients that follow events.",
            (),
            {(): services.feed.followers},
        )
        try:
            yield (
                "hypersdk_jobs",
                "Jobs that are in a state.",
                ("state",),
                {(state.value,): number for state, number in services.feed.counts().items()},
            )
            hypervisors = services.hypervisors.list()
            yield (
                "hypersdk_hypervisor_breaker_open",
                "1 while a hypervisor is left alone because it failed often.",
                ("hypervisor",),
                {
                    (each.name,): float(
                        services.connections.breaker(each.name).state is BreakerState.OPEN
                    )
                    for each in hypervisors
                },
            )
            workers = workforce(services.database)
            yield (
                "hypersdk_workers",
                "Workers that are in a state.",
                ("state",),
                {(state,): number for state, number in Counter(w.state for w in workers).items()},
            )
            yield (
                "hypersdk_worker_slots",
                "Jobs that running workers can do at once.",
                (),
                {(): sum(each.slots for each in workers if each.state == "running")},
            )
        except DatabaseError:
            return
