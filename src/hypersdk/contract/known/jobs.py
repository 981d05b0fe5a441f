"""Jobs as the known routes name them: an export is all that they can be."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment
from hypersdk.contract.known.base import OPTIONAL

KnownStatus = Literal["pending", "running", "completed", "failed", "cancelled"]


class KnownOptions(Asked):
    """How to export. What asks for the conversion pipeline is refused when it is true."""

    parallel_downloads: int | None = Field(default=None, ge=1, le=16)
    #: An export never holds the medium of a CD drive, and the drive stays as it is.
    remove_cdrom: bool | None = None
    #: A job's progress always names the disk it is about.
    show_individual_progress: bool | None = None
    enable_pipeline: bool | None = None
    hyper2kvm_path: str | None = None
    pipeline_inspect: bool | None = None
    pipeline_fix: bool | None = None
    pipeline_convert: bool | None = None
    pipeline_validate: bool | None = None
    pipeline_compress: bool | None = None
    compress_level: int | None = Field(default=None, ge=0, le=22)
    libvirt_integration: bool | None = None
    libvirt_uri: str | None = None
    libvirt_autostart: bool | None = None
    libvirt_bridge: str | None = None
    libvirt_pool: str | None = None
    hyper2kvm_daemon: bool | None = None
    hyper2kvm_instance: str | None = None
    hyper2kvm_watch_dir: str | None = None
    hyper2kvm_output_dir: str | None = None
    hyper2kvm_poll_interval: int | None = None
    hyper2kvm_daemon_timeout: int | None = None


class Vcenter(Asked):
    """Which vCenter: matched to a hypervisor that the daemon knows. Credentials are refused."""

    server: str = ""
    username: str = ""
    password: str = ""
    insecure: bool = False


class JobDefinition(Asked):
    """What to export, and where to."""

    id: str = ""
    name: str = ""
    #: Name or inventory path.
    vm_path: str = Field(min_length=1)
    output_path: str = ""
    output_dir: str = ""
    options: KnownOptions | None = None
    vcenter_url: str = ""
    vcenter: Vcenter | None = None
    username: str = ""
    password: str = ""
    insecure: bool = False
    datacenter: str = ""
    format: str = "ovf"
    export_method: str = ""
    method: str = ""
    compress: bool = False
    #: Disks of an export are always as small as their content.
    thin: bool = False
    created_at: Moment | None = None
    metadata: dict[str, str] = {}


class JobBatch(Asked):
    """Several at once."""

    jobs: list[JobDefinition]


#: Body of ``POST /jobs/submit``, as JSON or YAML.
Submission = JobDefinition | JobBatch | list[JobDefinition]


class SubmitAnswer(Answer):
    """What became of each."""

    job_ids: list[str]
    accepted: int
    rejected: int
    #: One line for each that was rejected, with its place: ``jobs[1]: …``.
    errors: list[str] | None = OPTIONAL
    #: Of the one job, when it is one.
    job_id: str | None = OPTIONAL
    timestamp: Moment


class QueryAsked(Asked):
    """Which jobs; without anything all are meant."""

    job_ids: list[str] = []
    status: list[KnownStatus] = []
    all: bool = False
    limit: int = Field(default=0, ge=0, le=10_000)


class ShownOptions(Answer):
    """Options as far as they decide something."""

    parallel_downloads: int


class ShownDefinition(Answer):
    """A job's definition; it never holds credentials."""

    id: str
    name: str
    vm_path: str
    output_path: str
    output_dir: str
    options: ShownOptions | None = OPTIONAL
    format: str
    compress: bool
    created_at: Moment
    #: Its tags, with ``kind`` for jobs that are no exports, and ``hypervisor``.
    metadata: dict[str, str] = {}


class KnownProgress(Answer):
    """Bytes."""

    phase: str
    current_file: str
    current_step: str
    files_downloaded: int
    total_files: int
    bytes_downloaded: int
    total_bytes: int
    percent_complete: float
    #: ``1m30s``; empty while unknown.
    estimated_remaining: str
    export_method: str


class KnownResult(Answer):
    """What an export made."""

    vm_name: str
    output_dir: str
    ovf_path: str
    files: list[str]
    output_files: list[str] | None = OPTIONAL
    #: Bytes.
    total_size: int
    #: Nanoseconds.
    duration: int
    success: bool
    export_method: str | None = OPTIONAL
    error: str | None = OPTIONAL


class KnownJob(Answer):
    """A job."""

    definition: ShownDefinition
    status: KnownStatus
    #: True for a job that somebody paused; its status is ``pending``.
    paused: bool | None = OPTIONAL
    progress: KnownProgress | None = OPTIONAL
    result: KnownResult | None = OPTIONAL
    error: str | None = OPTIONAL
    started_at: Moment | None = OPTIONAL
    completed_at: Moment | None = OPTIONAL
    updated_at: Moment


class QueryAnswer(Answer):
    """Newest first."""

    jobs: list[KnownJob]
    total: int
    timestamp: Moment


class ProgressAnswer(Answer):
    """How far one job is."""

    job_id: str
    status: KnownStatus
    timestamp: Moment
    progress: KnownProgress | None = OPTIONAL
    #: MiB per second.
    transfer_rate_mbps: float | None = OPTIONAL
    started_at: Moment | None = OPTIONAL
    elapsed_seconds: float | None = OPTIONAL
    completed_at: Moment | None = OPTIONAL
    error: str | None = OPTIONAL


class KnownLogLine(Answer):
    timestamp: Moment
    level: str
    message: str
    details: dict[str, Any] | None = OPTIONAL
    error: str | None = OPTIONAL


class LogsAnswer(Answer):
    """The job's own log."""

    job_id: str
    logs: list[KnownLogLine]
    log_count: int
    timestamp: Moment


class Eta(Answer):
    """When a job will have ended; ``message`` says why that cannot be told."""

    message: str | None = OPTIONAL
    status: str | None = OPTIONAL
    estimated_completion: Moment | None = OPTIONAL
    time_remaining: str | None = OPTIONAL
    time_remaining_seconds: float | None = OPTIONAL
    elapsed: str | None = OPTIONAL
    elapsed_seconds: float | None = OPTIONAL
    percent_complete: float | None = OPTIONAL
    transfer_rate_mbps: float | None = OPTIONAL
    bytes_remaining: int | None = OPTIONAL
    total_duration: str | None = OPTIONAL


class EtaAnswer(Answer):
    job_id: str
    status: KnownStatus
    eta: Eta
    timestamp: Moment


class CancelAsked(Asked):
    job_ids: list[str] = Field(min_length=1, max_length=10_000)


class CancelAnswer(Answer):
    """``failed``: those that could not be cancelled, with the reason in ``errors``."""

    cancelled: list[str]
    failed: list[str]
    errors: dict[str, str] | None = OPTIONAL
    timestamp: Moment


class HealthAnswer(Answer):
    status: Literal["healthy"] = "healthy"
    timestamp: Moment


class StatusAnswer(Answer):
    """Counts of the jobs that the caller may see. Scheduled and paused ones count in the total."""

    version: str
    #: ``26h3m7s``.
    uptime: str
    total_jobs: int
    running_jobs: int
    completed_jobs: int
    failed_jobs: int
    cancelled_jobs: int
    timestamp: Moment


class Capability(Answer):
    """One way to export. The daemon has its own, ``web``, and uses no other program."""

    method: str
    available: bool
    version: str
    path: str
    priority: int
    last_checked: Moment


class CapabilitiesAnswer(Answer):
    capabilities: dict[str, Capability]
    default_method: str
    timestamp: Moment
