"""Docker's descriptions as ours. Nothing here asks the engine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hypersdk.drivers.docker import marks
from hypersdk.model.instances import Disk, Instance, InstanceState, Purpose

#: Name of the archive that holds a container's own filesystem.
ROOTFS = "rootfs"
#: Chunks of a disk with this grain are as large as the blocks of our archives
#: (`datapath.archive.BLOCK`).
GRANULARITY = 64 << 10
NANO = 1_000_000_000
#: Docker's word for a container that is on its way out.
REMOVING = "removing"

#: A container whose first process failed has stopped: Docker knows no crash that must be cleared.
#: One that the engine restarts by its own rule counts as running.
_STATES = {
    "created": InstanceState.STOPPED,
    "exited": InstanceState.STOPPED,
    "dead": InstanceState.STOPPED,
    "running": InstanceState.RUNNING,
    "restarting": InstanceState.RUNNING,
    "paused": InstanceState.PAUSED,
}


def state(word: str) -> InstanceState:
    return _STATES.get(word, InstanceState.UNKNOWN)


def observed_state(found: Mapping[str, Any]) -> InstanceState:
    """Of a container as ``inspect`` describes it."""
    return state(found["State"]["Status"])


def own_name(names: Sequence[str]) -> str:
    """Names through links hold a second slash."""
    return next((name for name in names if name.count("/") == 1), names[0]).removeprefix("/")


def listed(row: Mapping[str, Any]) -> Instance:
    """One row of ``docker ps``, which knows neither processors nor memory."""
    labels = row["Labels"] or {}
    return Instance(
        id=labels.get(marks.IDENTITY) or row["Id"],
        name=own_name(row["Names"]),
        state=state(row["State"]),
        vcpus=0,
        memory=0,
        disks=archives(row["Mounts"]),
        tags=marks.tags(labels) if labels else {},
        owned=marks.owned(labels),
        folder=labels.get(marks.FOLDER, ""),
        image=labels.get(marks.IMAGE) or row["Image"],
    )


def described(found: Mapping[str, Any]) -> Instance:
    """A container as ``inspect`` describes it."""
    labels = found["Config"]["Labels"] or {}
    limits = found["HostConfig"]
    return Instance(
        id=identity(found),
        name=found["Name"].removeprefix("/"),
        state=observed_state(found),
        vcpus=math.ceil(processors(limits)),
        memory=limits.get("Memory") or 0,
        disks=archives(found["Mounts"]),
        tags=marks.tags(labels),
        owned=marks.owned(labels),
        folder=labels.get(marks.FOLDER, ""),
        image=labels.get(marks.IMAGE) or found["Config"]["Image"],
    )


def identity(found: Mapping[str, Any]) -> str:
    labels = found["Config"]["Labels"] or {}
    return str(labels.get(marks.IDENTITY) or found["Id"])


def processors(limits: Mapping[str, Any]) -> float:
    """Processors' worth of time that a container may use; 0: no limit."""
    if nano := limits.get("NanoCpus"):
        return float(nano) / NANO
    quota, period = limits.get("CpuQuota") or 0, limits.get("CpuPeriod") or 100_000
    return float(quota) / period if quota > 0 else 0.0


def archives(mounts: Sequence[Mapping[str, Any]]) -> tuple[Disk, ...]:
    """What a backup keeps of a container: its filesystem and its volumes. Sizes are not known
    before they are read: 0."""
    if not mounts:
        return _ROOTFS_ALONE
    return (archive(ROOTFS), *(archive(archive_name(volume)) for volume in volumes(mounts)))


def volumes(mounts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Volume → where it is mounted, by that; the first place for one that is mounted twice. The
    engine lists them in another order each time."""
    places: dict[str, str] = {}
    for mount in sorted(mounts, key=lambda each: str(each["Destination"])):
        if mount["Type"] == "volume":
            places.setdefault(mount["Name"], mount["Destination"])
    return places


def archive(name: str, size: int = 0) -> Disk:
    return Disk(name, size, "raw", "", Purpose.ARCHIVE, GRANULARITY)


_ROOTFS_ALONE = (archive(ROOTFS),)


def archive_name(volume: str) -> str:
    """A volume may be called like the filesystem."""
    return f"volume-{volume}" if volume == ROOTFS else volume


def shares(weight: int, cgroups: str) -> int:
    """``cpu.weight`` (1 to 10000, usually 100) as Docker's CPU shares (2 to 262144, usually 1024).

    Where the host has control groups of version 2, runc turns shares into a weight by a line
    through both ends of the two ranges (opencontainers/cgroups, ConvertCPUSharesToCgroupV2Value):
    the shares are chosen so that it arrives at ``weight``. With version 1 shares are what counts,
    and equal proportions matter.
    """
    if cgroups == "2":
        return 2 + math.ceil((weight - 1) * 262_142 / 9_999)
    return max(2, round(weight * 1024 / 100))


def moment(text: str) -> datetime:
    """RFC 3339 with nanoseconds, as Go writes it."""
    head, _, rest = text.removesuffix("Z").partition(".")
    fraction = (rest[:6] or "0").ljust(6, "0")
    return datetime.fromisoformat(f"{head}.{fraction}").replace(tzinfo=UTC)
