"""Events that vSphere has recorded: what happened, to whom, and who did it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.errors import NATIVE
from hypersdk.drivers.vsphere.translate import plain
from hypersdk.model.management import ServerEvent

#: Events in one answer of ours, and in one of vSphere's.
EVENTS_MOST = 1000
_PAGE = 500
#: Argument of an event → what it is about. The first that is there.
_SUBJECTS = (
    ("vm", "VirtualMachine"),
    ("host", "HostSystem"),
    ("computeResource", "ComputeResource"),
    ("ds", "Datastore"),
    ("net", "Network"),
    ("dvs", "DistributedVirtualSwitch"),
    ("datacenter", "Datacenter"),
)
_ERRORS = ("Failed", "Error", "Lost", "CannotBe", "NoAccess", "BadUsername")
_WARNINGS = ("Warning", "Disconnected", "AlarmStatusChanged", "Conflict", "Overcommitted")


class VspherePastEvents:
    """No part of the port: an attribute of `VsphereHypervisor`. Safe in threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def since(
        self,
        moment: datetime,
        *,
        kinds: Collection[str] = (),
        subjects: Collection[str] = (),
        after: int = 0,
        most: int = EVENTS_MOST,
    ) -> Sequence[ServerEvent]:
        """Oldest first; with more than ``most``, the newest of them. ``kinds``: classes of events
        (``VmPoweredOnEvent``); ``subjects``: of what they are about (``VirtualMachine``).
        ``after``: only events of greater numbers."""
        spec = vim.event.EventFilterSpec(
            time=vim.event.EventFilterSpec.ByTime(beginTime=moment),
            eventTypeId=sorted(kinds) or None,
        )
        wanted = frozenset(subjects)
        found = {
            each.number: each
            for each in map(_event, self._read(spec, most))
            if each.number > after
            and each.time >= moment
            and (not kinds or each.kind in kinds)
            and (not wanted or each.subject_kind in wanted)
        }
        return [found[number] for number in sorted(found)][-most:]

    def _read(self, spec: Any, most: int) -> list[Any]:
        """Some come twice: the page of the newest is no part of the rest, says VMware; its
        simulator has it there but for one."""
        connection = self._connection
        manager = connection.content.eventManager
        doing = f"read the events of {connection.address.place}"
        collector = connection.call(lambda: manager.CreateCollectorForEvents(spec), doing)
        found: list[Any] = []
        try:
            connection.call(lambda: collector.SetCollectorPageSize(_PAGE), doing, again=False)
            connection.call(collector.ResetCollector, doing, again=False)
            found += connection.get(collector, "latestPage")["latestPage"] or ()
            while len(found) < 2 * most:
                page = connection.call(
                    lambda: collector.ReadPreviousEvents(_PAGE), doing, again=False
                )
                if not page:
                    break
                found += page
        finally:
            with suppress(*NATIVE):  # it ends with the session otherwise
                collector.DestroyCollector()
        return found


def _event(found: Any) -> ServerEvent:
    kind = type(found).__name__.rpartition(".")[2]
    subject, subject_kind = _subject(found)
    datacenter = getattr(found, "datacenter", None)
    return ServerEvent(
        number=int(found.key),
        kind=str(getattr(found, "eventTypeId", "") or kind),
        message=str(found.fullFormattedMessage or ""),
        time=found.createdTime.astimezone(UTC),
        user=str(found.userName or ""),
        subject=subject,
        subject_kind=subject_kind,
        datacenter=plain(str(datacenter.name)) if datacenter else "",
        severity=_severity(found, kind),
        chain=int(found.chainId or 0),
    )


def _subject(found: Any) -> tuple[str, str]:
    for field, kind in _SUBJECTS:
        argument = getattr(found, field, None)
        if argument is not None:
            return plain(str(argument.name)), kind
    return "", ""


def _severity(found: Any, kind: str) -> str:
    said = str(getattr(found, "severity", "") or "")
    if said in {"info", "warning", "error"}:
        return said
    if any(word in kind for word in _ERRORS):
        return "error"
    return "warning" if any(word in kind for word in _WARNINGS) else "info"
