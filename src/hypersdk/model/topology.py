"""How a management server arranges what it has: datacenters, clusters, hosts, pools, folders, tags.

Paths are those of its inventory: ``europe/DC0``, ``DC0/host/cluster/Resources/prod``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from hypersdk.model.resources import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Hosts that share their load."""

    name: str
    path: str
    hosts: tuple[str, ...] = ()
    #: Moves machines by itself (DRS), restarts them elsewhere (HA). None: not known.
    balanced: bool | None = None
    restarts: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One host. Bytes."""

    name: str
    path: str
    #: Empty: it stands alone.
    cluster: str = ""
    #: ``VMware ESXi 8.0.2``.
    product: str = ""
    connected: bool = True
    maintenance: bool = False
    vcpus: int = 0
    memory: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePool:
    """A share of a cluster or host."""

    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """What people stick to things, and on which of them it is."""

    name: str
    category: str
    description: str = ""
    #: Ids of what it is attached to, as the server knows them: ``vm-12``.
    objects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All of it, as observed within some seconds."""

    datacenters: tuple[str, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    hosts: tuple[Node, ...] = ()
    pools: tuple[ResourcePool, ...] = ()
    #: Paths of folders of machines: ``DC0/vm/prod``.
    folders: tuple[str, ...] = ()
    datastores: tuple[Pool, ...] = ()
    #: None: the server has none, or will not say.
    tags: tuple[Tag, ...] | None = field(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """Something that the server did or does for somebody."""

    id: str
    #: ``VirtualMachine.powerOn``.
    operation: str
    #: What it is done to, by name.
    subject: str
    #: ``queued``, ``running``, ``success``, ``error``.
    state: str
    #: UTC.
    queued: datetime
    ended: datetime | None = None
    #: Per cent, while it runs.
    progress: int | None = None
    user: str = ""
    #: In the server's words; empty when nothing went wrong.
    error: str = ""
