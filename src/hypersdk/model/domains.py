"""What libvirt knows of a domain, and other hypervisors do not know of an instance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainFacts:
    """One domain, as observed at one moment."""

    name: str
    #: Number while it runs; None otherwise.
    number: int | None
    #: Started with its host.
    autostart: bool
    #: It has a definition, and is there when it is stopped.
    persistent: bool
    #: Of a pseudo terminal on libvirt's host; empty: it has no serial line, or does not run.
    serial: str = ""
    #: What people wrote about it.
    description: str = ""
    #: Addresses of its network cards.
    macs: tuple[str, ...] = ()
