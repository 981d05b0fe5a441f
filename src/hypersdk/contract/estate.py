"""Hypervisors, repositories, webhooks and events on the wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment, Name


class BudgetRecord(Asked):
    """What all jobs together may use; null: no bound."""

    #: Jobs at once.
    jobs: int | None = Field(default=None, ge=0, le=100_000)
    #: Bytes per second, shared evenly by the jobs that run.
    bandwidth: int | None = Field(default=None, ge=1, le=1 << 50)
    #: Jobs begun per minute.
    starts: int | None = Field(default=None, ge=1, le=100_000)


class HypervisorChange(Asked):
    """What a hypervisor is to be."""

    #: Without secrets; ``password-from`` in it is a reference (``env:NAME``, ``file:PATH``).
    url: str = Field(min_length=1, max_length=2048)
    description: str = Field(default="", max_length=4096)
    #: Queue of the site whose workers reach it.
    queue: str = Field(default="default", min_length=1, max_length=128)
    budget: BudgetRecord = BudgetRecord()
    #: Of each of its hosts, and of each of its datastores.
    host_budget: BudgetRecord = BudgetRecord()
    datastore_budget: BudgetRecord = BudgetRecord()
    tags: dict[str, str] = {}


class NewHypervisor(HypervisorChange):
    """A hypervisor to be known by a name."""

    name: Name


class KnownHypervisor(Answer):
    """A hypervisor that the daemon knows by a name."""

    name: str
    url: str
    tenant: str = ""
    description: str = ""
    queue: str = "default"
    budget: BudgetRecord = BudgetRecord()
    host_budget: BudgetRecord = BudgetRecord()
    datastore_budget: BudgetRecord = BudgetRecord()
    tags: dict[str, str] = {}
    #: Stands in the daemon's settings file, and is changed there only.
    managed: bool = False
    created: Moment
    updated: Moment
    revision: int = 0


class HypervisorUrl(Asked):
    """A hypervisor to try."""

    url: str = Field(min_length=1, max_length=2048)


class LimitRecord(Answer):
    """What a part of a hypervisor lacks."""

    #: ``snapshots.memory``.
    aspect: str
    note: str


class CapabilityRecord(Answer):
    """One part of a hypervisor: ``lifecycle``, ``snapshots`` …"""

    part: str
    grade: Literal["full", "partial", "none"]
    limits: list[LimitRecord] = []


class HostRecord(Answer):
    """What the instances run on. Bytes."""

    name: str
    product: str
    version: str
    architecture: str
    vcpus: int
    memory: int
    memory_available: int
    storage_available: int | None = None
    active_instances: int
    maximum_instances: int | None = None
    maximum_vcpus: int | None = None
    maximum_memory: int | None = None
    acceleration: str = "none"


class BreakerRecord(Answer):
    """Whether calls are let through: ``closed`` (yes), ``open`` (no), ``half-open`` (one)."""

    state: str
    #: Failures in a row.
    failures: int = 0
    #: Seconds until it is tried again.
    retry_in: float = 0.0


class HealthRecord(Answer):
    """A hypervisor at one moment."""

    hypervisor: str
    url: str
    reachable: bool
    #: Seconds that an answer took, without connecting.
    latency: float | None = None
    breaker: BreakerRecord | None = None
    host: HostRecord | None = None
    capabilities: list[CapabilityRecord] = []
    #: Why it is not reachable.
    error: str = ""
    hint: str = ""


class RepositoryChange(Asked):
    """What a repository is to be."""

    #: A path on the worker's host, or ``s3://bucket/prefix``.
    location: str = Field(min_length=1, max_length=2048)
    description: str = Field(default="", max_length=4096)
    #: Reference to the passphrase (``env:NAME``), or path of the key file or identity: one at most.
    key: str = Field(default="", max_length=1024)
    key_file: str = Field(default="", max_length=4096)
    identity: str = Field(default="", max_length=4096)
    budget: BudgetRecord = BudgetRecord()


class NewRepository(RepositoryChange):
    """A repository to be known by a name."""

    name: Name
    #: Make it at its place, which is empty. Without a key it is not encrypted.
    create: bool = False


class KnownRepository(Answer):
    """A repository that the daemon knows by a name."""

    name: str
    location: str
    tenant: str = ""
    description: str = ""
    key: str = ""
    key_file: str = ""
    identity: str = ""
    budget: BudgetRecord = BudgetRecord()
    #: Stands in the daemon's settings file, and is changed there only.
    managed: bool = False
    created: Moment
    updated: Moment
    revision: int = 0


class StatisticsRecord(Answer):
    """What a repository holds. Bytes unless named otherwise."""

    instances: int
    points: int
    #: Virtual bytes of all disks of all points.
    virtual: int
    packs: int
    stored: int
    chunks: int
    cache: int
    encrypted: bool


class PointDiskRecord(Answer):
    """One disk of a restore point. Bytes."""

    name: str
    size: int
    chunk_size: int
    format: str = "raw"
    purpose: str = "disk"
    incremental: bool = False
    reason: str = ""
    read: int = 0
    changed: int = 0
    stored: int = 0
    zero: int = 0
    unchanged: int = 0
    seconds: float = 0.0


class PointRecord(Answer):
    """One instance at one moment in a repository."""

    id: str
    instance: str
    time: Moment
    stored_at: Moment
    #: Virtual bytes of all disks.
    size: int
    consistency: Literal["offline", "crash", "filesystem"]
    source: str = ""
    instance_id: str = ""
    tags: dict[str, str] = {}
    pinned: bool = False
    locked_until: Moment | None = None
    definition_kind: str = ""
    warnings: list[str] = []
    disks: list[PointDiskRecord] = []


class VerifyOrder(Asked):
    """What to check; see the kind ``verify`` of jobs."""

    instance: str = ""
    point: str = ""
    level: str = ""


class PruneOrder(Asked):
    """What to keep; see the kind ``prune`` of jobs."""

    instance: str = ""
    keep: dict[str, int | str]
    dry_run: bool = False


class WebhookChange(Asked):
    """What a webhook is to be."""

    url: str = Field(pattern=r"^https?://", max_length=2048)
    #: Names or groups (``job.*``); empty: all.
    events: list[str] = Field(default=[], max_length=100)
    #: Sent along. Values are references (``env:NAME``) or plain words that are no secrets.
    headers: dict[str, str] = {}
    #: Seconds for one attempt.
    timeout: float = Field(default=10.0, gt=0, le=60)
    enabled: bool = True


class NewWebhook(WebhookChange):
    """Whom to tell of events."""

    #: Reference to the secret that signs; empty: one is made, and shown once.
    secret: str = Field(default="", max_length=1024)


class WebhookRecord(Answer):
    """Whom to tell of events."""

    id: str
    url: str
    events: list[str] = []
    tenant: str = ""
    headers: dict[str, str] = {}
    timeout: float = 10.0
    enabled: bool = True
    #: Stands in the daemon's settings file, and is changed there only.
    managed: bool = False
    created: Moment
    revision: int = 0


class NewWebhookRecord(WebhookRecord):
    """A webhook that was just made."""

    #: ``whsec_…``, shown this once; empty when a reference was given.
    secret: str = ""


class DeliveryRecord(Answer):
    """One event for one webhook."""

    id: str
    webhook: str
    event: str
    state: Literal["waiting", "delivered", "dead"]
    attempts: int = 0
    created: Moment
    next_attempt: Moment | None = None
    delivered: Moment | None = None
    #: What the other end, or the network, said last.
    said: str = ""


class EventRecord(Answer):
    """Something that happened."""

    #: The cursor; null for what is not kept, such as progress.
    number: int | None = None
    time: Moment
    #: ``job.completed``, ``vm.started`` …; ``job.progress`` is not kept.
    name: str
    #: ``jobs/01J…``.
    subject: str
    tenant: str = ""
    data: dict[str, Any] = {}
