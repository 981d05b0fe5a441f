"""Is what is read now the same as what was read then?

Files of an earlier run are taken over only when that can be shown:

* the instance was switched off and is, and the files of its disks were not written since (size,
  time of the last write, inode, where we can see them),
* or its hypervisor's own record of changes says that nothing was written since,
* or its hypervisor remembers that it stood still since (vSphere: by its events),
* or both runs read the same snapshot.

Everything else counts as another moment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from hypersdk.drivers.diskports import BackupView, DiskView
from hypersdk.model.extents import ExtentKind
from hypersdk.model.instances import Disk, Instance, InstanceState
from hypersdk.model.machines import Snapshot

Evidence = dict[str, Any]


@runtime_checkable
class RemembersMoments(Protocol):
    """A view of a hypervisor that can tell later whether an instance stood still."""

    @property
    def moment(self) -> str:
        """Name of the moment of this view; empty: nobody can be asked about it."""
        ...

    def still(self, moment: str) -> bool:
        """Whether the disks are what they were at that moment; False also when it is not known."""
        ...


def of_instance(instance: Instance) -> Evidence:
    """What is known of an instance without opening it."""
    return {
        "id": instance.id,
        "state": instance.state.value,
        "files": {disk.name: found for disk in instance.disks if (found := _file(disk))},
    }


def files_of(instance: Instance) -> Evidence:
    """The files of its disks as they are now."""
    return {"files": of_instance(instance)["files"]}


def of_snapshot(instance: Instance, snapshot: Snapshot) -> Evidence:
    """A moment that the hypervisor keeps."""
    return {
        "id": instance.id,
        "snapshot": snapshot.name,
        "created": snapshot.created.timestamp(),
    }


def with_tokens(evidence: Evidence, view: BackupView) -> Evidence:
    """And the names of the moment in the hypervisor's records of changes."""
    tokens = {each.disk.name: each.checkpoint for each in view.disks if each.checkpoint}
    named = view.moment if isinstance(view, RemembersMoments) else ""
    return {**evidence, "tokens": tokens, "moment": named}


def tokens_of(evidence: Mapping[str, Any]) -> dict[str, str]:
    """Those to ask a view for changes since."""
    tokens = evidence.get("tokens")
    return {str(k): str(v) for k, v in tokens.items()} if isinstance(tokens, dict) else {}


def same_snapshot(then: Mapping[str, Any], now: Evidence) -> bool:
    """Both are of one snapshot."""
    keys = ("id", "snapshot", "created")
    return "snapshot" in now and all(then.get(key) == now.get(key) for key in keys)


def unchanged_file(then: Mapping[str, Any], now: Evidence, disk: str) -> bool:
    """The instance was and is switched off, and nobody wrote the file of the disk since."""
    stopped = InstanceState.STOPPED.value
    if then.get("id") != now["id"] or {then.get("state"), now.get("state")} != {stopped}:
        return False
    before = then.get("files", {}).get(disk)
    return before is not None and before == now["files"].get(disk)


def remembered(then: Mapping[str, Any], now: Evidence, view: BackupView) -> bool:
    """The hypervisor remembers that nothing was done to the instance since."""
    moment = then.get("moment")
    if not isinstance(moment, str) or not moment or then.get("id") != now["id"]:
        return False
    return isinstance(view, RemembersMoments) and view.still(moment)


def unchanged_record(view: DiskView) -> bool:
    """The hypervisor's record, asked for changes since then, names none."""
    if not view.incremental:
        return False
    with view.open() as source:
        return all(extent.kind is ExtentKind.UNCHANGED for extent in source.extents())


def _file(disk: Disk) -> list[int] | None:
    if not disk.path or not os.path.isabs(disk.path):
        return None
    try:
        found = os.stat(disk.path)
    except OSError:  # on another host, or not ours to see
        return None
    return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev]
