"""Conversions and imports of exported machines, and the manifests that ask for them."""

from __future__ import annotations

from typing import Any, Literal

from hypersdk.contract.base import Answer, Asked, Moment
from hypersdk.contract.known.base import OPTIONAL


class WorkflowStatus(Answer):
    """Counts are of jobs that convert and import; ``today`` begins at midnight UTC."""

    mode: Literal["disk", "manifest"] = "manifest"
    #: Workers take jobs.
    running: bool
    queue_depth: int
    active_jobs: int
    processed_today: int
    failed_today: int
    #: Jobs that this daemon's own worker runs at once.
    max_workers: int
    uptime_seconds: int


class WorkflowJob(Answer):
    id: str
    name: str
    stage: str
    #: Per cent.
    progress: int
    started_at: Moment | None
    elapsed_seconds: int
    #: ``pending``, ``processing``, ``completed`` or ``failed``.
    status: str


class WorkflowJobs(Answer):
    jobs: list[WorkflowJob]
    total: int


class ManifestSubmitAsked(Asked):
    """An Artifact Manifest v1.0, and what is to become of its machine.

    A manifest alone, without this envelope, is converted.
    """

    manifest: dict[str, Any]
    #: Absent: convert its disks. Else: define the machine on this hypervisor.
    hypervisor: str = ""


class ManifestChecked(Answer):
    valid: bool
    errors: list[str]


class ManifestSubmitted(Answer):
    success: bool = True
    #: Folder of the manifest's disks.
    manifest_path: str
    #: The first of ``job_ids``.
    job_id: str
    #: One for each disk that is converted, or one that imports.
    job_ids: list[str]


class TaskProgress(Answer):
    """One task of the progress monitor."""

    task_id: str
    name: str
    #: ``pending``, ``exporting``, ``converting``, ``uploading``, ``completed``, ``failed``.
    status: str
    #: Per cent.
    progress: float
    message: str
    started_at: Moment | None = OPTIONAL
    updated_at: Moment
    completed_at: Moment | None = OPTIONAL
    error: str | None = OPTIONAL


class TasksProgress(Answer):
    """Tasks that run or wait, and the newest that ended."""

    tasks: list[TaskProgress]
    total: int
    timestamp: Moment
