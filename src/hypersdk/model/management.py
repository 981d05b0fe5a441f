"""What a management server tells of its hosts, clusters and pools beyond how they are arranged, and
what happened there. Sizes in bytes, processors in MHz."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

#: Of a limit: there is none.
UNLIMITED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """The server itself."""

    name: str
    version: str
    build: str
    #: ``linux-x64``.
    os: str
    #: ``VirtualCenter`` or ``HostAgent``.
    api: str
    api_version: str
    #: Its identity; empty for a host.
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """One host."""

    name: str
    path: str
    datacenter: str = ""
    #: Empty: it stands alone.
    cluster: str = ""
    #: ``connected``, ``disconnected``, ``notResponding``.
    connection: str
    #: ``poweredOn``, ``poweredOff``, ``standBy``, ``unknown``.
    power: str
    cpu_model: str = ""
    cores: int = 0
    threads: int = 0
    mhz: int = 0
    memory: int = 0
    nics: int = 0
    instances: int = 0
    version: str = ""
    build: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """One cluster: what its hosts have together."""

    name: str
    path: str
    mhz: int = 0
    memory: int = 0
    hosts: int = 0
    cores: int = 0
    threads: int = 0
    #: Moves machines by itself, and how far: ``fullyAutomated``.
    balanced: bool = False
    behavior: str = ""
    #: Restarts machines of a host that failed.
    restarts: bool = False
    #: What is left of them for machines.
    effective_mhz: int = 0
    effective_memory: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DatacenterFacts:
    """One datacenter: how much is in it."""

    name: str
    path: str
    clusters: int = 0
    hosts: int = 0
    instances: int = 0
    datastores: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Of processors (MHz) or memory (bytes). None: as it is, or as the server sets it."""

    reservation: int | None = None
    #: `UNLIMITED` for none.
    limit: int | None = None
    #: May take from the pool above what it lacks for a reservation.
    expandable: bool | None = None
    #: ``low``, ``normal``, ``high`` or ``custom``.
    shares: str | None = None
    #: Number of shares, with ``custom``.
    level: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFacts:
    """A resource pool."""

    name: str
    path: str
    #: What it has at most now, and of what kind its share is.
    mhz: int = 0
    memory: int = 0
    processors: Share = Share()
    ram: Share = Share()
    instances: int = 0
    pools: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a machine, host or cluster used on average in one interval. Bytes per second."""

    name: str
    #: ``vm``, ``host`` or ``cluster``.
    kind: str
    time: datetime
    mhz: float = 0.0
    cpu_percent: float = 0.0
    memory: float = 0.0
    memory_percent: float = 0.0
    read: float = 0.0
    written: float = 0.0
    received: float = 0.0
    sent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """Something that the server recorded."""

    number: int
    #: ``VmPoweredOnEvent``.
    kind: str
    message: str
    #: UTC.
    time: datetime
    user: str = ""
    #: What it is about, and of what kind that is: ``VirtualMachine``.
    subject: str = ""
    subject_kind: str = ""
    datacenter: str = ""
    #: ``info``, ``warning`` or ``error``.
    severity: str = "info"
    #: Of the events that one task made.
    chain: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneWish:
    """Where a clone is to be and how it is to be made; empty: as its original."""

    source: str
    name: str
    #: ``prod/web``; made where it is missing.
    folder: str = ""
    #: Name or path of a resource pool.
    pool: str = ""
    datastore: str = ""
    linked: bool = False
    #: Of the original, whose content the clone gets.
    snapshot: str = ""
    start: bool = False
    template: bool = False
