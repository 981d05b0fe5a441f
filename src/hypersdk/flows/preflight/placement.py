"""Rules about what the instance is bound to: hosts, clusters, datastores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter

from hypersdk.flows.preflight.rule import Rule
from hypersdk.flows.preflight.subject import Subject
from hypersdk.model.concerns import Severity
from hypersdk.model.units import format_size

#: A snapshot of a running instance grows in its datastore; below this share it may fill it.
_STORAGE_FREE = 0.10


def _flag(name: str, said: str) -> Callable[[Subject], Iterator[str]]:
    """A check that one fact of the instance is true."""
    fact = attrgetter(name)

    def check(subject: Subject) -> Iterator[str]:
        if fact(subject.details) is True:
            yield f"{subject.name} {said}"

    return check


def _hotplug(subject: Subject) -> Iterator[str]:
    details = subject.details
    kinds = [
        word
        for word, on in (("processors", details.cpu_hotplug), ("memory", details.memory_hotplug))
        if on is True
    ]
    if kinds:
        yield f"{subject.name} takes {' and '.join(kinds)} while it runs"


def _no_storage(subject: Subject) -> Iterator[str]:
    for storage in subject.details.storage:
        if storage.accessible is False:
            yield f"the datastore {storage.name}, with disks of {subject.name}, is not accessible"


def _little_storage(subject: Subject) -> Iterator[str]:
    for storage in subject.details.storage:
        if not subject.running or not storage.capacity or storage.free is None:
            continue
        if storage.free < storage.capacity * _STORAGE_FREE:
            yield (
                f"the datastore {storage.name} has {format_size(storage.free)} of "
                f"{format_size(storage.capacity)} free; what {subject.name} writes during the "
                "export is kept there in a snapshot"
            )


RULES = (
    Rule(
        id="placement.storage-missing",
        title="Datastore not accessible",
        severity=Severity.CRITICAL,
        check=_no_storage,
        fix="Mount the datastore on the instance's host, or leave its disks out with "
        "--exclude-disk.",
    ),
    Rule(
        id="placement.storage-full",
        title="Datastore nearly full",
        severity=Severity.WARNING,
        check=_little_storage,
        fix="Free space in the datastore, or stop the instance first (--power-off).",
    ),
    Rule(
        id="placement.cpu-affinity",
        title="Bound to processors",
        severity=Severity.WARNING,
        check=_flag("cpu_affinity", "is bound to certain processors of its host"),
        fix="Pin its virtual processors on the target, if it still matters there.",
    ),
    Rule(
        id="placement.numa-affinity",
        title="Bound to NUMA nodes",
        severity=Severity.WARNING,
        check=_flag("numa_affinity", "is bound to NUMA nodes of its host"),
        fix="Set its NUMA nodes on the target, if it still matters there.",
    ),
    Rule(
        id="placement.host-affinity",
        title="Bound by a rule of its cluster",
        severity=Severity.WARNING,
        check=_flag("host_affinity", "is bound by a rule of its cluster to hosts or to others"),
        fix="Make the like rule on the target: rules are not exported.",
    ),
    Rule(
        id="placement.hotplug",
        title="Processors or memory added while running",
        severity=Severity.WARNING,
        check=_hotplug,
        fix="Choose the largest size it needs: not every target adds more while it runs.",
    ),
    Rule(
        id="placement.fault-tolerance",
        title="Fault tolerance",
        severity=Severity.INFO,
        check=_flag("fault_tolerance", "has a shadow on a second host (fault tolerance)"),
        fix="The target has no such shadow; switch it off before the move.",
    ),
    Rule(
        id="placement.balanced",
        title="Moved by its cluster (DRS)",
        severity=Severity.INFO,
        check=_flag("balanced", "may be moved to another host by its cluster (DRS)"),
        fix="Reading is taken up again on the other host; to avoid it, set DRS to manual for it.",
    ),
    Rule(
        id="placement.power-managed",
        title="Hosts powered off by its cluster (DPM)",
        severity=Severity.INFO,
        check=_flag("power_managed", "is in a cluster that powers hosts off (DPM)"),
        fix="Switch DPM off for the time of a large export.",
    ),
)
