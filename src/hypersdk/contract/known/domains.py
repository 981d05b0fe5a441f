"""Domains of libvirt, their snapshots, and what is done to many of them."""

from __future__ import annotations

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment
from hypersdk.contract.known.base import OPTIONAL


class Domain(Answer):
    #: Number of a running domain, ``-`` otherwise.
    id: str
    name: str
    uuid: str
    #: As virsh says it: ``running``, ``paused``, ``shut off``, ``crashed``, ``no state``.
    state: str
    cpus: int
    #: MiB.
    memory: int
    autostart: bool
    persistent: bool


class DomainsAnswer(Answer):
    domains: list[Domain]
    total: int


class DomainAsked(Asked):
    name: str = Field(min_length=1)


class DomainSnapshot(Answer):
    name: str
    description: str
    creation_time: Moment
    state: str
    current: bool
    #: Empty for a root of the tree.
    parent: str


class DomainSnapshotsAnswer(Answer):
    """Parents before children."""

    snapshots: list[DomainSnapshot]
    total: int
    domain: str


class SnapshotAsked(Asked):
    domain_name: str = Field(min_length=1)
    snapshot_name: str = Field(min_length=1)


class NewSnapshotAsked(SnapshotAsked):
    """Empty name: one is made of the time."""

    snapshot_name: str = ""
    description: str = ""


class BatchAsked(Asked):
    """All of these; ``domains`` of at most 500 names."""

    domains: list[str] = Field(min_length=1, max_length=500)


class BatchStart(BatchAsked):
    paused: bool = False


class BatchForce(BatchAsked):
    force: bool = False


class BatchSnapshot(BatchAsked):
    name_prefix: str = "batch"
    description: str = ""
    #: After a failure the snapshots that were made are deleted again.
    atomic: bool = False
    disk_only: bool = False


class BatchDelete(BatchAsked):
    """Running domains are cut off first, unless only snapshots are to go."""

    remove_storage: bool = False
    snapshots_only: bool = False


class BatchResult(Answer):
    domain: str
    success: bool
    error: str | None = OPTIONAL


class BatchAnswer(Answer):
    operation: str
    total: int
    successful: int
    failed: int
    results: list[BatchResult]
    start_time: Moment
    end_time: Moment
    #: ``1.2s``.
    duration: str


class CloneAsked(Asked):
    """``files`` and ``preserve`` are refused: the hypervisor places the disks of a clone."""

    source: str = Field(min_length=1)
    target: str = Field(min_length=1)
    files: list[str] = []
    new_mac: bool = True
    auto_clone: bool = True
    preserve: bool = False


class CloneAnswer(Answer):
    status: str = "success"
    message: str
    source: str
    target: str


class CloneManyAsked(Asked):
    source: str = Field(min_length=1)
    name_prefix: str = Field(min_length=1)
    count: int = Field(ge=1, le=100)
    start_index: int = Field(default=1, ge=0)


class CloneResult(Answer):
    name: str
    success: bool
    error: str | None = OPTIONAL


class CloneManyAnswer(Answer):
    status: str = "completed"
    source: str
    total: int
    successful: int
    failed: int
    results: list[CloneResult]


class TemplateAsked(Asked):
    """``metadata`` and ``seal`` are refused: nothing here changes what is inside a guest."""

    domain: str = Field(min_length=1)
    #: Empty: ``<domain>-template``.
    name: str = ""
    description: str = ""
    metadata: dict[str, str] = {}
    seal: bool = False


class TemplateMade(Answer):
    status: str = "success"
    message: str
    template: str
    source: str
    sealed: bool
    description: str


class DeployAsked(Asked):
    """``customize`` is refused: nothing here changes what is inside a guest."""

    template: str = Field(min_length=1)
    name: str = Field(min_length=1)
    #: MiB; 0: as the template.
    memory: int = Field(default=0, ge=0)
    vcpus: int = Field(default=0, ge=0)
    #: Its only network; empty: as the template.
    network: str = ""
    #: Start it when it is complete.
    autostart: bool = False
    customize: dict[str, str] = {}


class Deployed(Answer):
    status: str = "success"
    message: str
    vm: str
    template: str
    started: bool
    memory_mb: int
    vcpus: int


class TemplatesAnswer(Answer):
    templates: list[str]
    total: int


class TemplateExportAsked(Asked):
    template: str = Field(min_length=1)
    #: Folder on the worker's host.
    export_path: str = Field(min_length=1)
    compress: bool = False


class TemplateExported(Answer):
    """A job that exports was submitted."""

    status: str = "submitted"
    message: str
    template: str
    export_path: str
    compressed: bool
    job_id: str
