"""What is measured on a vSphere, and how large everything is."""

from __future__ import annotations

from dataclasses import dataclass

MIB, GIB = 1 << 20, 1 << 30
GOVC = "govc export.ovf"
LIBRARY = "pyVmomi"
#: Measures, in the order in which they run.
THROTTLED, EXPORT, MANY, FULL_BACKUP, INCREMENTAL, LIST, FIRST_ROW, UPDATE = (
    "vsphere-throttled", "vsphere-export", "vsphere-many", "vsphere-full", "vsphere-incremental",
    "vsphere-list", "vsphere-first-row", "vsphere-update",
)  # fmt: skip
MEASURES = (THROTTLED, EXPORT, MANY, FULL_BACKUP, INCREMENTAL, LIST, FIRST_ROW, UPDATE)
#: Bytes per second of each stream: what one NFC stream of a host was seen to give.
STREAM_RATE = 50 * MIB
#: Machines that may be exported at once in the measure of many.
PER_HOST, PER_DATASTORE = 3, 5
HOSTS, DATASTORES = 4, 2


@dataclass(frozen=True, slots=True)
class Scale:
    """How large everything is. Sizes in bytes."""

    disks: int = 4
    #: Of each disk, and of data in each.
    size: int = 2 * GIB
    data: int = GIB
    #: Machines that are exported at once, their disks, and the data in each.
    many: int = 20
    many_size: int = 256 * MIB
    many_data: int = 48 * MIB
    #: The disk that is backed up, and its changed areas of 64 KiB.
    large: int = 100 * GIB
    changes: int = 1000
    #: In the inventory.
    machines: int = 10_000
    #: Changes that are waited for in a round.
    updates: int = 7


FULL = Scale()
QUICK = Scale(
    size=64 * MIB, data=32 * MIB, many_size=8 * MIB, many_data=4 * MIB, large=GIB, changes=50,
    machines=200,
)  # fmt: skip
