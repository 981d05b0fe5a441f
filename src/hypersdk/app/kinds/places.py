"""What an instance shares with others: its host, and the datastores of its disks."""

from __future__ import annotations

from hypersdk.app.kinds.site import Site, inventory_of
from hypersdk.flows.exporting.batch import shared


def places_of(site: Site, hypervisor: str, instance: str) -> tuple[str, ...]:
    """As resources: ``host:lab/esx1``, ``datastore:lab/fast``; none for no hypervisor, or where
    it has no budget for them, so that nobody is asked in vain."""
    if not hypervisor:
        return ()
    record = site.connections.hypervisor_record(hypervisor)
    bounded = {
        "host": record.host_budget,
        "datastore": record.datastore_budget,
    }
    wanted = {
        kind
        for kind, each in bounded.items()
        if each.jobs is not None or each.bandwidth is not None
    }
    if not wanted:
        return ()
    with site.connections.using_hypervisor(hypervisor) as opened:
        found = shared(opened, inventory_of(opened).instance(instance))
    return tuple(f"{kind}:{hypervisor}/{name}" for kind, name in found if kind in wanted)
