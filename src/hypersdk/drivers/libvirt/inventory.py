"""Which domains there are, read in one call however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import Unless, native
from hypersdk.drivers.libvirt.keptmarks import KeptMarks
from hypersdk.drivers.libvirt.marks import Marks
from hypersdk.model.instances import Instance

_STATISTICS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
#: Of one domain; the rest is in its XML.
_OF_ONE = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_BLOCK
#: A domain that is busy, with its migration for example, must not make everybody wait.
_FLAGS = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
#: Domains per call where all at once do not fit into one message of libvirt's protocol (32 MiB).
_PER_CALL = 1000

_Record = tuple[libvirt.virDomain, dict[str, Any]]


class LibvirtInventory:
    """Asks libvirt each time. May be used by any number of threads."""

    def __init__(self, connection: Connection, kept: KeptMarks | None = None) -> None:
        self._connection = connection
        self._kept = kept or KeptMarks()

    def instances(self) -> Iterator[Instance]:
        """All domains, by name, without formats of disks: the statistics that come in one call do
        not know them. `instance` does. Tags, folders and owners cost another call for each domain
        that is new or has changed since the last listing (`keptmarks`).

        Another one also for each domain with a drive without a path: an empty CD drive, or a
        volume of a pool while the domain is stopped. Only the domain's XML tells which.
        """
        connection = self._connection.native
        with native(f"list the domains of {self._connection.uri}"):
            records = _statistics(connection)
            if records is None:
                found = _one_by_one(connection)
            else:
                noted = self._kept.of_all([domain for domain, _ in records])
                found = [_listed(*each, marks) for each, marks in zip(records, noted, strict=True)]
        return iter(sorted(found, key=attrgetter("name")))

    def instance(self, name: str) -> Instance:
        """By name, else by UUID; with all that is known. Raises InstanceNotFound."""
        domain = self._connection.domain(name)
        with native(f"describe '{name}'"):
            return described(domain)


def described(domain: libvirt.virDomain) -> Instance:
    """One domain in full. Raises libvirtError: callers know what they were doing."""
    record = _statistics_of(domain)
    number = record.get("state.state")
    if number is None:
        number = domain.state()[0]
    return _in_full(domain, number, list(translate.block_devices(record)))


def _listed(domain: libvirt.virDomain, record: dict[str, Any], noted: Marks) -> Instance:
    devices = list(translate.block_devices(record))
    instance = translate.listed(domain.UUIDString(), domain.name(), record, devices, noted)
    if all(path for _, path, _ in devices):
        return instance
    with Unless(libvirt.VIR_ERR_NO_DOMAIN):
        disks = _in_full(domain, record["state.state"], devices).disks
        return replace(instance, disks=tuple(replace(disk, format="") for disk in disks))
    return instance  # it vanished; it was there when the list was made


def _in_full(
    domain: libvirt.virDomain, number: int, devices: Sequence[tuple[str, str, int]]
) -> Instance:
    xml = translate.parsed(domain.XMLDesc())
    known = {target for target, path, _ in devices if path}
    volumes = [
        _volume(domain.connect(), disk)
        for disk in translate.disks(xml)
        if disk.get("type") == "volume" and translate.target_of(disk) not in known
    ]
    return translate.instance(xml, number, [*devices, *volumes])


def _volume(connection: libvirt.virConnect, disk: Element) -> tuple[str, str, int]:
    """A disk of a stopped domain that names a volume; empty and 0 when its pool is stopped too."""
    source = disk.find("source")
    target = translate.target_of(disk)
    if source is None:
        return target, "", 0
    with Unless(
        libvirt.VIR_ERR_NO_STORAGE_POOL,
        libvirt.VIR_ERR_NO_STORAGE_VOL,
        libvirt.VIR_ERR_OPERATION_INVALID,
    ):
        pool = connection.storagePoolLookupByName(source.get("pool", ""))
        volume = pool.storageVolLookupByName(source.get("volume", ""))
        return target, volume.path(), volume.info()[1]
    return target, "", 0


def _statistics(connection: libvirt.virConnect) -> Sequence[_Record] | None:
    """None where this driver of libvirt has no statistics of the kind (test, LXC)."""
    try:
        records: Sequence[_Record] = connection.getAllDomainStats(_STATISTICS, _FLAGS)
    except libvirt.libvirtError as error:
        code = error.get_error_code()
        if code == libvirt.VIR_ERR_NO_SUPPORT:
            return None
        if code != libvirt.VIR_ERR_RPC or not connection.isAlive():
            raise
        return _in_parts(connection)
    if records and "vcpu.current" not in records[0][1]:
        return None
    return records


def _in_parts(connection: libvirt.virConnect) -> Sequence[_Record]:
    """The answer for all did not fit into a message."""
    domains = connection.listAllDomains()
    records: list[_Record] = []
    for begin in range(0, len(domains), _PER_CALL):
        part = domains[begin : begin + _PER_CALL]
        records += connection.domainListGetStats(part, _STATISTICS, _FLAGS)
    return records


def _one_by_one(connection: libvirt.virConnect) -> list[Instance]:
    """Two calls for each domain; one that vanishes meanwhile is left out."""
    found = []
    for domain in connection.listAllDomains():
        with Unless(libvirt.VIR_ERR_NO_DOMAIN):
            found.append(_in_full(domain, domain.state()[0], ()))
    return found


def _statistics_of(domain: libvirt.virDomain) -> dict[str, Any]:
    """State and block devices; nothing from drivers without such statistics."""
    try:
        records = domain.connect().domainListGetStats([domain], _OF_ONE, _FLAGS)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise
        return {}
    return dict(records[0][1]) if records else {}
