"""Jobs that list instances anew."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypersdk.app.kinds.requests import answer, asked, same
from hypersdk.app.kinds.site import Site, first_line, inventory_of
from hypersdk.contract.kinds import InventoryRequest, InventoryResult
from hypersdk.jobs.kinds import Plan, Run
from hypersdk.model.errors import HyperSDKError, HypervisorUnreachable, Interrupted
from hypersdk.model.instances import Instance
from hypersdk.model.progress import Progress


class Inventory:
    """Changes nothing; the newest list is the one that is kept."""

    name = "inventory"
    summary = "List the instances of hypervisors anew."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(InventoryRequest, request)
        return self._site.planned(
            f"inventory of {wanted.hypervisor or 'all hypervisors'}",
            hypervisor=wanted.hypervisor,
            dedup=same(self.name, wanted),
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port. Raises why the one that was named could not be asked, and
        HypervisorUnreachable when none of all could."""
        wanted = asked(InventoryRequest, request)
        return run.step("inventory", lambda: self._listed(wanted, run))

    def _listed(self, wanted: InventoryRequest, run: Run) -> dict[str, Any]:
        began = time.monotonic()
        names = [wanted.hypervisor] if wanted.hypervisor else self._known(run)
        states: dict[str, dict[str, int]] = {}
        failures: dict[str, str] = {}
        for number, name in enumerate(names, 1):
            run.phase("listing", name)
            try:
                found = self._instances(name, run)
            except Interrupted:
                raise
            except HyperSDKError as error:
                if wanted.hypervisor:
                    raise
                failures[name] = first_line(error)
                run.log(f"{name}: {error.message}", level="warning")
                continue
            states[name] = dict(Counter(each.state.value for each in found))
            run.reporter(Progress(name, number, len(names), finished=number == len(names)))
        if failures and not states:
            raise HypervisorUnreachable(
                "; ".join(f"{name}: {why}" for name, why in failures.items()),
                hint="See whether they, and the way to them, are up.",
            )
        self._measure({name: sum(found.values()) for name, found in states.items()})
        return answer(
            InventoryResult(
                hypervisors=len(states),
                instances=sum(sum(each.values()) for each in states.values()),
                states=states,
                unreachable=failures,
                seconds=round(time.monotonic() - began, 3),
            )
        )

    def _measure(self, counts: Mapping[str, int]) -> None:
        """Of tenants of whom every hypervisor was listed."""
        connections = self._site.connections
        there: dict[str, list[str]] = {}
        for record in connections.known():
            there.setdefault(record.tenant, []).append(record.name)
        for tenant, names in there.items():
            if tenant and all(name in counts for name in names):
                self._site.allowance.measured(tenant, instances=sum(counts[name] for name in names))

    def _known(self, run: Run) -> list[str]:
        return [each.name for each in self._site.connections.known(tenant=run.job.tenant or None)]

    def _instances(self, name: str, run: Run) -> list[Instance]:
        with self._site.hypervisor(run, name) as hypervisor:
            found = list(inventory_of(hypervisor).instances())
        self._site.keep(name, found)
        return found
