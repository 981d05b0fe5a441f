"""What vSphere does and did lately, for whom, and how it went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere import translate
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.errors import NATIVE, said
from hypersdk.model.topology import TaskRecord

#: Of a task; the rest of its record has whole objects in it.
_FIELDS = (
    "key",
    "descriptionId",
    "name",
    "entityName",
    "state",
    "queueTime",
    "completeTime",
    "progress",
    "reason",
    "error",
)
_INFO = tuple(f"info.{field}" for field in _FIELDS)


class VsphereTasks:
    """No part of the port: an attribute of `VsphereHypervisor`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def recent(self) -> Sequence[TaskRecord]:
        """Those that vSphere shows as recent: what runs, and what ended within minutes."""
        connection = self._connection
        manager = connection.content.taskManager
        things = connection.get(manager, "recentTask")["recentTask"] or ()
        rows = connection.many(things, *_INFO)
        return [_record({each: row[f"info.{each}"] for each in _FIELDS}) for row in rows.values()]

    def history(self, name: str = "", *, most: int = 100) -> Sequence[TaskRecord]:
        """Newest first, of one machine when it is named. vCenter keeps them for 30 days; an ESXi
        host has no history. Raises InstanceNotFound, NotSupported."""
        connection = self._connection
        spec = vim.TaskFilterSpec()
        if name:
            spec.entity = vim.TaskFilterSpec.ByEntity(entity=connection.vm(name), recursion="self")
        manager = connection.content.taskManager
        doing = f"read the history of tasks of {connection.address.place}"
        collector = connection.call(lambda: manager.CreateCollectorForTasks(spec), doing)
        try:
            connection.call(lambda: collector.SetCollectorPageSize(most), doing, again=False)
            found = connection.get(collector, "latestPage")["latestPage"] or ()
        finally:
            with suppress(*NATIVE):  # it ends with the session otherwise
                collector.DestroyCollector()
        rows = [{each: getattr(info, each) for each in _FIELDS} for info in found]
        records = sorted(map(_record, rows), key=lambda each: each.queued, reverse=True)
        return records[:most]


def _record(info: Mapping[str, Any]) -> TaskRecord:
    error, ended = info["error"], info["completeTime"]
    return TaskRecord(
        id=str(info["key"]),
        operation=str(info["descriptionId"] or info["name"] or ""),
        subject=translate.plain(str(info["entityName"] or "")),
        state=str(info["state"]),
        queued=info["queueTime"].astimezone(UTC),
        ended=ended.astimezone(UTC) if ended else None,
        progress=info["progress"],
        user=str(getattr(info["reason"], "userName", None) or ""),
        error=said(error) if error is not None else "",
    )
