"""Jobs that remove restore points which no rule keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypersdk.app.kinds.requests import answer, asked, same
from hypersdk.app.kinds.retention import policy_of
from hypersdk.app.kinds.site import Site
from hypersdk.contract.kinds import PruneRequest, PruneResult
from hypersdk.flows.prune import prune
from hypersdk.jobs.kinds import Plan, Run


class Prune:
    """What a killed run has removed is gone, and the rest is judged as before."""

    name = "prune"
    summary = "Remove restore points that a retention policy does not keep."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(PruneRequest, request)
        policy_of(wanted.keep, "keep")
        return self._site.planned(
            f"retention of {wanted.instance or wanted.repository}",
            repository=wanted.repository,
            dedup=same(self.name, wanted),
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port."""
        wanted = asked(PruneRequest, request)
        done = run.step("prune", lambda: self._pruned(wanted, run))
        if not wanted.dry_run:
            owner = self._site.owner(wanted.repository)
            run.step("measure", lambda: self._site.allowance.measure(owner))
        return done

    def _pruned(self, wanted: PruneRequest, run: Run) -> dict[str, Any]:
        with self._site.repository(run, wanted.repository) as repository:
            run.phase("pruning", wanted.instance or wanted.repository)
            decisions = prune(
                repository,
                policy_of(wanted.keep, "keep"),
                instance=wanted.instance or None,
                dry_run=wanted.dry_run,
                cancel=run.cancel,
            )
        removed = [each.point.id for each in decisions if not each.keep]
        verb = "would remove" if wanted.dry_run else "removed"
        run.log(f"{verb} {len(removed)} of {len(decisions)} restore points")
        return answer(
            PruneResult(
                kept=len(decisions) - len(removed),
                removed=removed,
                reasons={each.point.id: ", ".join(each.reasons) for each in decisions},
                dry_run=wanted.dry_run,
            )
        )
