"""The host behind a libvirt connection."""

from __future__ import annotations

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.definition import MACHINES, Platform
from hypersdk.drivers.libvirt.errors import Unless, native
from hypersdk.drivers.libvirt.images import DEFAULT_POOL
from hypersdk.model.hosts import HostInfo
from hypersdk.model.units import KIB, MIB

#: libvirt's answer where a limit or an amount is not known.
_UNKNOWN = 0


class LibvirtHost:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def info(self) -> HostInfo:
        """Storage is that of the pool ``default``; None without such a pool."""
        connection = self._connection.native
        with native(f"describe the host of {self._connection.uri}"):
            model, memory, cpus, *_ = connection.getInfo()
            version = connection.getVersion()
            return HostInfo(
                name=connection.getHostname(),
                product=connection.getType(),
                version=f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}",
                architecture=model,
                vcpus=cpus,
                memory=memory * MIB,
                memory_available=_available(connection) or memory * MIB,
                storage_available=_storage(connection),
                active_instances=connection.numOfDomains(),
                maximum_vcpus=maximum_vcpus(
                    connection, Platform("", model, MACHINES.get(model, ""))
                ),
                acceleration=_acceleration(connection, model),
            )


def _available(connection: libvirt.virConnect) -> int:
    """Free memory and what the host's kernel would give back from its caches, in bytes."""
    with Unless(libvirt.VIR_ERR_NO_SUPPORT):
        counters = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
        names = ("free", "buffers", "cached")
        return sum(int(counters.get(name, 0)) for name in names) * KIB
    return _UNKNOWN


def _storage(connection: libvirt.virConnect) -> int | None:
    with Unless(
        libvirt.VIR_ERR_NO_SUPPORT,
        libvirt.VIR_ERR_NO_STORAGE_POOL,
        libvirt.VIR_ERR_OPERATION_INVALID,
    ):
        available: int = connection.storagePoolLookupByName(DEFAULT_POOL).info()[3]
        return available
    return None


def maximum_vcpus(connection: libvirt.virConnect, platform: Platform) -> int | None:
    """Of one machine of this kind; ``virConnectGetMaxVcpus`` knows QEMU's as of ten years ago."""
    if connection.getType() == "QEMU":
        xml = translate.parsed(
            connection.getDomainCapabilities(
                None, platform.arch, platform.machine or None, platform.type or None
            )
        )
        found = xml.find("vcpu")
        return None if found is None else int(found.get("max", "0")) or None
    with Unless(libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_INVALID_ARG):
        count: int = connection.getMaxVcpus(None)
        return count if count > 0 else None
    return None


def _acceleration(connection: libvirt.virConnect, architecture: str) -> str:
    """Whether libvirt offers KVM. Hosts within machines may offer it and fail to boot with it."""
    if connection.getType() != "QEMU":
        return "none"
    with Unless(libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_NO_SUPPORT):
        connection.getDomainCapabilities(None, architecture, None, "kvm")
        return "kvm"
    return "tcg"
