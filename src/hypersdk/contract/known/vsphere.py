"""A vCenter and what it arranges, as ``/vsphere`` names it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment
from hypersdk.contract.known.base import OPTIONAL


class HostAnswer(Answer):
    name: str
    path: str
    datacenter: str
    cluster: str
    connection_state: str
    power_state: str
    cpu_model: str
    cpu_cores: int
    cpu_threads: int
    cpu_mhz: int
    memory_mb: int
    num_nics: int
    num_vms: int
    version: str
    build: str


class HostsAnswer(Answer):
    hosts: list[HostAnswer]
    total: int
    timestamp: Moment


class ClusterAnswer(Answer):
    name: str
    path: str
    total_cpu_mhz: int
    total_memory_mb: int
    num_hosts: int
    num_cpu_cores: int
    num_cpu_threads: int
    drs_enabled: bool
    drs_behavior: str
    ha_enabled: bool
    effective_cpu_mhz: int
    effective_memory_mb: int


class ClustersAnswer(Answer):
    clusters: list[ClusterAnswer]
    total: int
    timestamp: Moment


class DatacenterAnswer(Answer):
    name: str
    path: str
    num_clusters: int
    num_hosts: int
    num_vms: int
    num_datastores: int


class DatacentersAnswer(Answer):
    datacenters: list[DatacenterAnswer]
    total: int
    timestamp: Moment


class VcenterInfo(Answer):
    name: str
    version: str
    build: str
    os_type: str
    api_type: str
    api_version: str
    instance_id: str


class VcenterAnswer(Answer):
    info: VcenterInfo
    timestamp: Moment


class Sample(Answer):
    """``…_mbps``: MiB per second."""

    entity_name: str
    entity_type: str
    timestamp: Moment
    cpu_usage_mhz: int
    cpu_percent: float
    memory_usage_mb: int
    memory_percent: float
    disk_read_mbps: float
    disk_write_mbps: float
    net_rx_mbps: float
    net_tx_mbps: float


class History(Answer):
    entity_name: str
    interval: str
    start_time: Moment
    end_time: Moment
    samples: list[Sample]


class MetricsAnswer(Answer):
    realtime: bool
    current: Sample | None = OPTIONAL
    history: History | None = OPTIONAL


class PoolAnswer(Answer):
    name: str
    path: str
    cpu_allocation_mhz: int
    cpu_reservation_mhz: int
    #: -1: no limit.
    cpu_limit_mhz: int
    cpu_expandable: bool
    memory_allocation_mb: int
    memory_reservation_mb: int
    memory_limit_mb: int
    memory_expandable: bool
    num_vms: int
    num_sub_pools: int


class ResourcePoolsAnswer(Answer):
    pools: list[PoolAnswer]
    total: int
    timestamp: Moment


Shares = Literal["low", "normal", "high", "custom"]


class PoolConfig(Asked):
    """What a resource pool may use. What a change leaves out stays as it is."""

    name: str = ""
    #: Path or name of the pool, cluster or host above it; empty: the only cluster or host.
    parent_path: str = ""
    cpu_reservation_mhz: int | None = Field(default=None, ge=0)
    cpu_limit_mhz: int | None = Field(default=None, ge=-1)
    cpu_expandable: bool | None = None
    cpu_shares: Shares | None = None
    #: Only with ``custom``.
    cpu_shares_level: int | None = Field(default=None, ge=0, le=1_000_000)
    memory_reservation_mb: int | None = Field(default=None, ge=0)
    memory_limit_mb: int | None = Field(default=None, ge=-1)
    memory_expandable: bool | None = None
    memory_shares: Shares | None = None
    memory_shares_level: int | None = Field(default=None, ge=0, le=1_000_000)


class NewPoolAsked(Asked):
    config: PoolConfig


class ChangePoolAsked(Asked):
    """``pool_name`` may be repeated; the path decides."""

    pool_name: str = ""
    config: PoolConfig


class VcenterEvent(Answer):
    event_id: int
    event_type: str
    message: str
    created_time: Moment
    user_name: str
    entity_name: str
    entity_type: str
    datacenter: str
    #: ``info``, ``warning`` or ``error``.
    severity: str
    chain_id: int


class EventsAnswer(Answer):
    """Oldest first."""

    events: list[VcenterEvent]
    total: int
    timestamp: Moment


class VcenterTask(Answer):
    task_id: str
    name: str
    description: str
    state: str
    entity_name: str
    start_time: Moment
    complete_time: Moment | None = OPTIONAL
    progress: int
    error: str | None = OPTIONAL


class TasksAnswer(Answer):
    tasks: list[VcenterTask]
    total: int
    timestamp: Moment


class CloneSpec(Asked):
    """Guest customization is refused: nothing here changes what is inside a guest."""

    source_vm: str = Field(min_length=1)
    target_name: str = Field(min_length=1)
    #: ``prod/web``; made where it is missing.
    target_folder: str = ""
    #: Name or path.
    resource_pool: str = ""
    datastore: str = ""
    power_on: bool = False
    linked_clone: bool = False
    #: Of the source, that a linked clone is based on, or a full one is a copy of.
    snapshot: str = ""
    #: The clone becomes a template.
    template: bool = False
    customize_guest: bool = False
    customization: dict[str, str] = {}


class CloneSpecAsked(Asked):
    spec: CloneSpec


class BulkCloneAsked(Asked):
    specs: list[CloneSpec] = Field(min_length=1, max_length=500)
    max_concurrent: int = Field(default=5, ge=0, le=32)
    stop_on_error: bool = False


class CloneDone(Answer):
    source_vm: str
    target_name: str
    target_path: str
    #: Of the job that does it; empty when it was done at once.
    task_id: str
    success: bool
    #: Nanoseconds.
    duration: int
    error: str | None = OPTIONAL


class CloneAnswer(Answer):
    result: CloneDone
    timestamp: Moment


class BulkCloneAnswer(Answer):
    results: list[CloneDone]
    success: int
    failed: int
    #: Nanoseconds.
    duration: int
    timestamp: Moment


class TemplateAsked(Asked):
    vm_name: str = Field(min_length=1)


class TemplateAnswer(Answer):
    success: bool = True
    message: str
    vm_name: str
    timestamp: Moment


class StreamMessage(Answer):
    """Of a WebSocket: ``metrics``, ``event``, ``task`` or ``error``."""

    type: str
    timestamp: Moment
    data: dict[str, Any]
