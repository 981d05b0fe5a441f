"""How many jobs are in which state, at most a second old."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request

from hypersdk.api.pools import pools_of
from hypersdk.api.services import Services
from hypersdk.model.accounts import Principal
from hypersdk.model.jobs import JobState


async def counted(services: Services, who: Principal, request: Request) -> Mapping[JobState, int]:
    """Of the caller's tenant; without a thread where they are known."""
    feed, tenant = services.feed, who.tenant or None
    counts = feed.cached_counts(tenant)
    return counts if counts is not None else await pools_of(request).quick(feed.counts, tenant)
