"""What each kind of job does: one file each, whose class checks requests and calls one flow.

Whatever a job makes is marked with its id, or noted beside it, so that a later run of the same job
(after a kill, a pause, a retry) finds it: see the text of each class, and docs/jobs.md.
"""

from __future__ import annotations

from hypersdk.app.kinds.backup import Backup
from hypersdk.app.kinds.batch import Batch
from hypersdk.app.kinds.conformance import Conformance
from hypersdk.app.kinds.convert import Convert
from hypersdk.app.kinds.export import Export
from hypersdk.app.kinds.folders import Folders
from hypersdk.app.kinds.gc import Gc
from hypersdk.app.kinds.import_ import Import
from hypersdk.app.kinds.inventory import Inventory
from hypersdk.app.kinds.lifecycle import Lifecycle
from hypersdk.app.kinds.prune import Prune
from hypersdk.app.kinds.restore import Restore
from hypersdk.app.kinds.site import Allowance, Keep, Site, Tell, Unbounded, nobody, nowhere
from hypersdk.app.kinds.snapshot import Snapshot
from hypersdk.app.kinds.verify import Verify
from hypersdk.flows.connections import Connections
from hypersdk.jobs.kinds import Kind, Kinds


def all_kinds(
    connections: Connections,
    *,
    folders: Folders | None = None,
    tell: Tell = nobody,
    keep: Keep = nowhere,
    allowance: Allowance | None = None,
) -> Kinds:
    """Every kind of job. ``folders``: where they may read and write on the host of the worker;
    None: everywhere. ``tell`` is told of what happens to instances, repositories and hypervisors;
    ``keep`` is given the instances of a hypervisor whenever a job lists them anew; ``allowance``
    knows the quotas of tenants, None: there are none."""
    site = Site(connections, folders or Folders(), tell, keep, allowance or Unbounded())
    makers = (
        Backup, Restore, Verify, Prune, Gc, Export, Import, Convert, Snapshot, Lifecycle,
        Conformance, Inventory,
    )  # fmt: skip
    kinds: dict[str, Kind] = {make.name: make(site) for make in makers}
    return Kinds({**kinds, Batch.name: Batch(site, kinds)})


__all__ = ["Folders", "all_kinds"]
