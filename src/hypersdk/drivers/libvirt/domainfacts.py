"""Facts of domains that only libvirt has, for those who know that they speak with libvirt."""

from __future__ import annotations

from collections.abc import Mapping

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import Unless, native
from hypersdk.model.domains import DomainFacts


class LibvirtDomains:
    """No part of the port: an attribute of `LibvirtHypervisor`. Safe in threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def facts(self) -> Mapping[str, DomainFacts]:
        """Name → facts of all domains, without what `of` tells besides. One that vanishes
        meanwhile is left out."""
        found = {}
        with native(f"list the domains of {self._connection.uri}"):
            for domain in self._connection.native.listAllDomains():
                with Unless(libvirt.VIR_ERR_NO_DOMAIN):
                    found[domain.name()] = _facts(domain)
        return found

    def of(self, name: str) -> DomainFacts:
        """One domain, with all that is known. Raises InstanceNotFound."""
        domain = self._connection.domain(name)
        with native(f"look at '{name}'"):
            xml = translate.parsed(domain.XMLDesc())
            facts = _facts(domain)
            # What was described while it runs is in its definition.
            flags = libvirt.VIR_DOMAIN_XML_INACTIVE if facts.persistent else 0
            description = translate.parsed(domain.XMLDesc(flags)).findtext("description", "")
        line = xml.find("devices/serial")
        if line is None:
            line = xml.find("devices/console")
        source = None if line is None or line.get("type") != "pty" else line.find("source")
        return DomainFacts(
            name=facts.name,
            number=facts.number,
            autostart=facts.autostart,
            persistent=facts.persistent,
            serial="" if source is None else source.get("path", ""),
            description=description,
            macs=tuple(mac.get("address", "") for mac in xml.iterfind("devices/interface/mac")),
        )

    def describe(self, name: str, description: str) -> None:
        """Keep a text with a persistent domain; an empty one removes it."""
        domain = self._connection.domain(name)
        with native(f"describe '{name}'"):
            domain.setMetadata(
                libvirt.VIR_DOMAIN_METADATA_DESCRIPTION,
                description or None,
                None,
                None,
                libvirt.VIR_DOMAIN_AFFECT_CONFIG,
            )


def _facts(domain: libvirt.virDomain) -> DomainFacts:
    persistent = bool(domain.isPersistent())
    return DomainFacts(
        name=domain.name(),
        number=domain.ID() if domain.isActive() else None,
        # A domain without a definition cannot be asked.
        autostart=bool(persistent and domain.autostart()),
        persistent=persistent,
    )
