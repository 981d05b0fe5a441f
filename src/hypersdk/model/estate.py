"""What the daemon looks after: hypervisors, repositories, webhooks, and what happens to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What all jobs together may use of a resource; None: no bound."""

    #: Jobs at once.
    jobs: int | None = None
    #: Bytes per second, shared evenly by the jobs that run.
    bandwidth: int | None = None
    #: Jobs begun per minute.
    starts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervisorRecord:
    """A hypervisor that the daemon knows by a name."""

    name: str
    #: Without secrets; ``password-from`` in it is a reference.
    url: str
    tenant: str = ""
    description: str = ""
    #: Queue of the site whose workers reach it.
    queue: str = "default"
    budget: Budget = Budget()
    #: Of each of its hosts, and of each of its datastores.
    host_budget: Budget = Budget()
    datastore_budget: Budget = Budget()
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Stands in the daemon's settings file: the API shows it and does not change it.
    managed: bool = False
    created: datetime
    updated: datetime
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRecord:
    """A repository that the daemon knows by a name."""

    name: str
    #: A path or ``s3://bucket/prefix``.
    location: str
    tenant: str = ""
    description: str = ""
    #: Reference to the passphrase, or path of the key or identity file; at most one.
    key: str = ""
    key_file: str = ""
    identity: str = ""
    budget: Budget = Budget()
    #: Stands in the daemon's settings file: the API shows it and does not change it.
    managed: bool = False
    created: datetime
    updated: datetime
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom to tell of events."""

    id: str
    url: str
    #: Names or groups (``job.*``); empty: all.
    events: tuple[str, ...] = ()
    tenant: str = ""
    #: Sent along. Values are references (``env:NAME``) or plain words that are no secrets.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Reference to the secret that signs (``whsec_…``); empty: the daemon makes and keeps one.
    secret: str = ""
    #: Seconds for one attempt.
    timeout: float = 10.0
    enabled: bool = True
    #: Stands in the daemon's settings file: the API shows it and does not change it.
    managed: bool = False
    created: datetime
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one webhook. Tried for a day, then a dead letter."""

    id: str
    webhook: str
    event: str
    #: ``waiting``, ``delivered`` or ``dead``.
    state: str
    attempts: int = 0
    created: datetime
    next_attempt: datetime | None = None
    delivered: datetime | None = None
    #: What the other end, or the network, said last.
    said: str = ""


#: Event of a job that listed the instances of a hypervisor anew: lists of before are old.
INVENTORY_REFRESHED = "inventory.refreshed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, for those who follow events and for webhooks."""

    #: Grows; the cursor (``Last-Event-ID``).
    number: int
    time: datetime
    #: ``job.completed``, ``vm.started``, ``backup.completed``, ``schedule.skipped``,
    #: ``hypervisor.unreachable``.
    name: str
    #: What it is about: ``jobs/01J…``.
    subject: str
    tenant: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
