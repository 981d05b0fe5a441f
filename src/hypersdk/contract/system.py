"""The daemon itself on the wire."""

from __future__ import annotations

from hypersdk.contract.base import Answer, Moment


class StatusRecord(Answer):
    """The daemon at a glance."""

    version: str
    started: Moment
    #: Seconds.
    uptime: float
    #: State → jobs in it, of the caller's tenant.
    jobs: dict[str, int]
    #: Who asks: name, role and tenant.
    user: str
    role: str
    tenant: str = ""
    time: Moment


class VersionRecord(Answer):
    version: str
    #: Versions of this API that are served.
    api: list[str] = ["v1"]


class WorkerRecord(Answer):
    """A process that runs jobs."""

    id: str
    host: str = ""
    pid: int
    queues: list[str] = []
    #: Jobs at once.
    slots: int
    #: Of them in use.
    busy: int = 0
    version: str = ""
    #: ``running``, ``draining`` or ``stopped``.
    state: str
    started: Moment
    #: When it was heard of last.
    seen: Moment


class WorkersRecord(Answer):
    items: list[WorkerRecord]


class ReloadedRecord(Answer):
    """What reading the settings again changed."""

    changed: list[str]
