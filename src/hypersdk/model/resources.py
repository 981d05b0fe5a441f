"""Storage and networks of a hypervisor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pool:
    """A place for disks on a hypervisor. Bytes."""

    name: str
    #: The hypervisor's word: ``dir``, ``logical``, ``netfs`` …
    type: str
    active: bool
    capacity: int
    available: int
    #: Folder or device on the hypervisor's host.
    path: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk in a pool. Bytes."""

    name: str
    pool: str
    path: str
    format: str
    capacity: int
    #: What it takes on its storage.
    allocation: int
    #: Path of the image it is based on; empty when it stands alone.
    backing: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """A network of a hypervisor."""

    name: str
    #: ``isolated``, ``nat``, ``route``, ``bridge``.
    mode: str = "isolated"
    bridge: str = ""
    #: Address and prefix length of the host in it (``192.168.100.1/24``); empty for none.
    address: str = ""
    #: First and last address given out by DHCP; both empty for no DHCP.
    dhcp_first: str = ""
    dhcp_last: str = ""
    active: bool = False
    autostart: bool = True
