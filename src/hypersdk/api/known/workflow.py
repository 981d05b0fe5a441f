"""Artifact Manifests as jobs, and the jobs that convert and import in the shape of a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypersdk.api.known import shown
from hypersdk.api.known.folders import own, refuse_outside
from hypersdk.api.known.spelling import now
from hypersdk.api.services import Services
from hypersdk.artifacts.manifest import validated
from hypersdk.artifacts.manifestmodel import ArtifactManifest
from hypersdk.contract.jobs import NewJobRecord
from hypersdk.contract.known.workflow import WorkflowJob, WorkflowStatus
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidInput
from hypersdk.model.jobs import Job, JobFilter, JobState

#: Kinds of job that a workflow is made of.
KINDS = frozenset({"convert", "import"})
#: Jobs that are looked through.
MOST = 1000
_WORDS: Mapping[JobState, str] = {
    JobState.SCHEDULED: "pending",
    JobState.PENDING: "pending",
    JobState.PAUSED: "pending",
    JobState.RUNNING: "processing",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "failed",
}
STATES = ("pending", "processing", "completed", "failed")


def checked(services: Services, who: Principal, document: Any) -> tuple[ArtifactManifest, Path]:
    """A manifest, and the folder that its relative paths are in: the daemon's folder of exports.

    Raises InvalidInput naming the field, also for a disk whose file is nowhere; NotAllowed.
    """
    if isinstance(document, Mapping) and "vms" in document and "disks" not in document:
        raise InvalidInput(
            "this is a batch of another schema: vms and pipeline",
            hint="Send an Artifact Manifest: manifest_version, source, vm, disks.",
        )
    try:
        manifest = validated(document)
    except InvalidInput as error:
        error.hint = error.hint or "The fields are in docs/artifacts.md."
        raise
    folder = own(Path(services.settings.folders.exports), who.tenant)
    for number, disk in enumerate(manifest.disks):
        field, path = f"disks[{number}].local_path", folder / disk.local_path
        refuse_outside(services.settings.folders, who, path, field)
        if not path.is_file():
            raise InvalidInput(
                f"{field}: there is no file {path}",
                hint="Give absolute paths on the daemon's host, or paths below its exports.",
            )
    return manifest, folder


def conversions(manifest: ArtifactManifest, folder: Path) -> list[NewJobRecord]:
    """One job for each disk, beside it or in the manifest's own output folder."""
    _refuse_steps(manifest)
    output = manifest.output
    wanted = output.format if output else "qcow2"
    name = _name(manifest)
    jobs = []
    for disk in manifest.disks:
        source = folder / disk.local_path
        where = folder / output.directory if output and output.directory else source.parent
        file = output.filename if output and output.filename and len(manifest.disks) == 1 else ""
        if "/" in file or file in (".", ".."):
            raise InvalidInput("output.filename: it is a path", hint="Name the file alone.")
        target = where / (file or f"{Path(disk.local_path).stem}.{wanted}")
        if target == source:
            target = where / f"{Path(disk.local_path).stem}-converted.{wanted}"
        jobs.append(
            NewJobRecord(
                kind="convert",
                name=f"conversion of {name}/{disk.id}",
                request={
                    "source": str(source),
                    "target": str(target),
                    "source_format": disk.source_format,
                    "target_format": wanted,
                },
                tags={"manifest.disk": disk.id, "manifest.vm": name},
            )
        )
    return jobs


def importing(manifest: ArtifactManifest, folder: Path, hypervisor: str) -> NewJobRecord:
    """The package that the manifest lies beside, else the one disk of its machine. Raises
    InvalidInput where it is not clear what the machine is made of."""
    _refuse_steps(manifest)
    first = folder / manifest.disks[0].local_path
    packages = sorted({*first.parent.glob("*.ovf"), *first.parent.glob("*.ova")})
    if len(packages) == 1:
        source = packages[0]
    elif len(manifest.disks) == 1:
        source = first
    else:
        raise InvalidInput(
            f"{first.parent} holds {len(packages)} packages (.ovf, .ova), and the manifest names "
            f"{len(manifest.disks)} disks",
            hint="Keep one package beside the disks, or convert them and import one by one.",
        )
    request: dict[str, Any] = {"hypervisor": hypervisor, "source": str(source)}
    if manifest.source and manifest.source.vm_name:
        request["name"] = manifest.source.vm_name
    return NewJobRecord(kind="import", name=f"import of {_name(manifest)}", request=request)


def _refuse_steps(manifest: ArtifactManifest) -> None:
    """Steps that change a guest are hyper2kvm's. A manifest as exports write it asks for none."""
    pipeline = manifest.pipeline
    fix = pipeline is not None and pipeline.fix is not None and pipeline.fix.enabled
    if fix or manifest.configuration is not None:
        raise InvalidInput(
            "the manifest wants the guest to be changed (pipeline.fix, configuration), which the "
            "daemon does not do",
            hint="Run hyper2kvm on it, or disable these steps to convert the disks as they are.",
        )


def _name(manifest: ArtifactManifest) -> str:
    return (manifest.source.vm_name if manifest.source else "") or "manifest"


# The jobs.


def status(services: Services, who: Principal) -> WorkflowStatus:
    moment = now()
    midnight = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    found = jobs(services, who)
    today = [each for each in found if each.ended is not None and each.ended >= midnight]
    return WorkflowStatus(
        running=services.settings.workers.enabled,
        queue_depth=sum(_WORDS[each.state] == "pending" for each in found),
        active_jobs=sum(each.state is JobState.RUNNING for each in found),
        processed_today=sum(each.state is JobState.COMPLETED for each in today),
        failed_today=sum(each.state is JobState.FAILED for each in today),
        max_workers=services.settings.workers.slots,
        uptime_seconds=int((moment - services.started).total_seconds()),
    )


def jobs(services: Services, who: Principal, states: frozenset[str] = frozenset()) -> list[Job]:
    """Newest first. ``states``: of `STATES`; none: all."""
    wanted = frozenset(state for state, word in _WORDS.items() if word in states)
    chosen = JobFilter(kinds=KINDS, states=wanted, tenant=who.tenant or None)
    return list(services.jobs.list(chosen, limit=MOST).jobs)


def job(found: Job) -> WorkflowJob:
    spent = 0.0
    if found.started is not None:
        spent = ((found.ended or now()) - found.started).total_seconds()
    return WorkflowJob(
        id=found.id,
        name=found.name,
        stage=found.progress.phase or found.kind,
        progress=int(shown.percent(found)),
        started_at=found.started,
        elapsed_seconds=int(spent),
        status=_WORDS[found.state],
    )
