"""Jobs that give back the space of what no restore point needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypersdk.app.kinds.requests import answer, asked, same
from hypersdk.app.kinds.site import Site
from hypersdk.contract.kinds import GcRequest, GcResult
from hypersdk.flows.prune import collect_garbage
from hypersdk.jobs.kinds import Plan, Run
from hypersdk.model.units import format_size, parse_duration


class Gc:
    """May be done again at any time, also when it was stopped in the middle."""

    name = "gc"
    summary = "Give back the space of what no restore point in a repository needs."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(GcRequest, request)
        return self._site.planned(
            f"collection in {wanted.repository}",
            repository=wanted.repository,
            dedup=same(self.name, wanted),
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port."""
        wanted = asked(GcRequest, request)
        done = run.step("gc", lambda: self._collected(wanted, run))
        if not wanted.dry_run:
            owner = self._site.owner(wanted.repository)
            run.step("measure", lambda: self._site.allowance.measure(owner))
        return done

    def _collected(self, wanted: GcRequest, run: Run) -> dict[str, Any]:
        with self._site.repository(run, wanted.repository) as repository:
            run.phase("collecting", wanted.repository)
            done = collect_garbage(
                repository,
                grace=parse_duration(wanted.grace),
                dry_run=wanted.dry_run,
                owner=run.job.id.replace("-", ""),
                cancel=run.cancel,
            )
        run.log(f"{format_size(done.swept_bytes)} given back in {done.swept_packs} packs")
        return answer(
            GcResult(
                condemned=done.condemned_packs,
                condemned_bytes=done.condemned_bytes,
                repacked_bytes=done.repacked_bytes,
                swept=done.swept_packs,
                freed=done.swept_bytes,
                rescued=done.rescued_packs,
                waiting=done.waiting_packs,
                waiting_for=done.waiting_for,
                seconds=round(done.seconds, 3),
                dry_run=wanted.dry_run,
            )
        )
