"""Jobs that export instances to files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypersdk.app.kinds.exported import Package, finished_package, note_beginning
from hypersdk.app.kinds.notes import Note
from hypersdk.app.kinds.places import places_of
from hypersdk.app.kinds.requests import answer, asked, reference, refuse, same
from hypersdk.app.kinds.site import Site, inventory_of, pace, refuse_secrets_of_host
from hypersdk.artifacts.compression import Compression
from hypersdk.artifacts.encryption import Seal
from hypersdk.contract.kinds import ExportRequest, ExportResult
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.layout import Layout
from hypersdk.flows.exporting.options import (
    Bandwidth,
    ExportOptions,
    ManifestOptions,
    SnapshotOptions,
)
from hypersdk.flows.exporting.uploading import bring_files
from hypersdk.jobs.kinds import Plan, Run


class Export:
    """A run that is continued takes over the disks that are complete, and an export that its job
    completed is recognised by a note beside the files. Files that arrived at the place they are
    brought to are not sent again."""

    name = "export"
    summary = "Export an instance to OVF, OVA or disk images, and bring the files to a place."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(ExportRequest, request)
        _check(wanted)
        _options(wanted)
        self._site.folders.check(wanted.output, "output")
        if wanted.upload:
            self._site.folders.check_upload(wanted.upload)
        return self._site.planned(
            f"export of {wanted.instance}",
            hypervisor=wanted.hypervisor,
            dedup=same(self.name, wanted),
        )

    def places(self, request: Mapping[str, Any]) -> tuple[str, ...]:
        """See `Placed`."""
        wanted = asked(ExportRequest, request)
        return places_of(self._site, wanted.hypervisor, wanted.instance)

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port."""
        wanted = asked(ExportRequest, request)
        _check(wanted)
        refuse_secrets_of_host(run, wanted.passphrase)
        folder = self._site.folders.check(wanted.output, "output", tenant=run.job.tenant)
        if wanted.upload:
            self._site.folders.check_upload(wanted.upload, tenant=run.job.tenant)
        note = Note(folder, "export", run.job.id)
        done = run.step("export", lambda: self._exported(wanted, run, folder, note))
        if wanted.upload and not wanted.stream_upload:
            done = run.step("upload", lambda: _uploaded(wanted, run, folder, note, done))
        note.remove()
        return done

    def _exported(
        self, wanted: ExportRequest, run: Run, folder: Path, note: Note
    ) -> dict[str, Any]:
        with self._site.hypervisor(run, wanted.hypervisor) as hypervisor:
            run.phase("looking", wanted.instance)
            instance = inventory_of(hypervisor).instance(wanted.instance)
            layout = Layout(folder, instance.name, wanted.format)
            if (found := finished_package(layout, note)) is not None:
                run.log(f"{layout.folder} holds what this job has exported")
                return answer(_result(wanted, instance.name, found))
            again = note_beginning(layout, note)
            try:
                return self._copied(wanted, run, hypervisor, layout, again=again)
            except BaseException:
                if finished_package(layout, note) is None and not layout.checkpoint.exists():
                    note.remove()  # the next run begins as the first one did
                raise

    def _copied(
        self,
        wanted: ExportRequest,
        run: Run,
        hypervisor: Hypervisor,
        layout: Layout,
        *,
        again: bool,
    ) -> dict[str, Any]:
        run.phase("exporting", wanted.instance)
        run.log(f"exporting {wanted.instance} to {layout.folder}")
        options = _options(wanted, run, again=again)
        done = export_instance(
            hypervisor,
            wanted.instance,
            layout.folder,
            options=options,
            reporter=run.reporter,
            cancel=run.cancel,
        )
        for warning in done.warnings:
            run.log(warning, level="warning")
        package = Package(layout, tuple(file.name for file in done.files), done.size)
        made = _result(wanted, done.instance.name, package).model_copy(
            update={
                "read": sum(disk.read for disk in done.disks),
                "seconds": round(done.seconds, 3),
                "consistency": done.consistency.value,
                "snapshot": done.snapshot,
                "verified": done.verified,
                "warnings": list(done.warnings),
            }
        )
        if wanted.stream_upload:
            places = [f"{done.uploaded}/{file.name}" for file in done.files]
            made = made.model_copy(update={"uploaded": places, "local": False, "files": []})
        return answer(made)


def _uploaded(
    wanted: ExportRequest, run: Run, folder: Path, note: Note, done: Mapping[str, Any]
) -> dict[str, Any]:
    """Each file that arrived is noted, so that it is sent once."""
    layout = Layout(folder, done["instance"], wanted.format)
    names = [Path(file).name for file in done["files"]]
    run.phase("uploading", wanted.upload)
    sent: list[str] = list((note.read() or {}).get("sent", []))

    def arrived(name: str) -> None:
        sent.append(name)
        note.add(sent=sent)

    places = bring_files(
        layout,
        names,
        _options(wanted, run, upload=True),
        sent=frozenset(sent),
        arrived=arrived,
        reporter=run.reporter,
        cancel=run.cancel,
    )
    run.log(f"{len(names)} files brought to {wanted.upload}")
    update: dict[str, Any] = {"uploaded": places, "local": wanted.keep_local}
    if not wanted.keep_local:
        for name in names:
            (folder / name).unlink(missing_ok=True)
        update |= {"files": [], "ovf_path": "", "manifest": ""}
    return {**done, **update}


def _result(wanted: ExportRequest, instance: str, package: Package) -> ExportResult:
    return ExportResult(
        instance=instance,
        hypervisor=wanted.hypervisor,
        folder=str(package.layout.folder),
        format=wanted.format,
        files=[str(package.layout.folder / name) for name in package.names],
        ovf_path=package.path_of((".ovf", ".ova")),
        manifest=package.path_of((".json", ".yaml")),
        size=package.size,
        verified=wanted.verify,
    )


def _check(wanted: ExportRequest) -> None:
    """Raises InvalidInput for what does not go together."""
    refuse(
        (wanted.compression or wanted.level is not None) and not wanted.compress,
        "request.compression and request.level go with request.compress",
        'Add "compress": true.',
    )
    refuse(
        wanted.adaptive and wanted.bandwidth is None,
        "request.adaptive needs request.bandwidth: the most that may be read",
        "Name it in bytes per second.",
    )
    refuse(
        wanted.burst and wanted.bandwidth is None,
        "request.burst goes with request.bandwidth",
        "Name it in bytes per second.",
    )
    details = wanted.snapshot_name or wanted.snapshot_memory or wanted.snapshot_keep
    refuse(
        (details or wanted.consolidate) and not wanted.snapshot,
        "request.snapshot_name, snapshot_memory, snapshot_keep and consolidate go with "
        "request.snapshot",
        'Add "snapshot": true.',
    )
    refuse(
        wanted.snapshot_most and not wanted.snapshot_keep,
        "request.snapshot_most goes with request.snapshot_keep",
        'Add "snapshot_keep": true.',
    )
    refuse(
        (wanted.manifest_target or wanted.manifest_tags) and not wanted.manifest,
        "request.manifest_target and manifest_tags go with request.manifest",
        'Leave out "manifest": false.',
    )
    refuse(
        (not wanted.keep_local or wanted.stream_upload) and not wanted.upload,
        "without request.upload, the local files are all there is",
        'Name a place: {"upload": "s3://bucket/prefix"}, or keep the local files.',
    )
    refuse(
        wanted.passphrase and wanted.recipients,
        "files are sealed to request.passphrase or to request.recipients, not to both",
        "Leave one out.",
    )
    reference(wanted.passphrase, "passphrase")


def _options(
    wanted: ExportRequest, run: Run | None = None, *, again: bool = False, upload: bool = False
) -> ExportOptions:
    """``again``: an earlier run of this job was at work here. ``upload``: for bringing the files;
    exporting them is a step of its own, unless they are streamed."""
    streamed = wanted.stream_upload
    place = wanted.upload if streamed or upload or run is None else ""
    return ExportOptions(
        format=wanted.format,
        parallel=wanted.parallel,
        workers=wanted.workers,
        exclude=frozenset(wanted.exclude),
        freeze=wanted.freeze,
        compression=Compression(wanted.compression or "gzip", wanted.level or 0)
        if wanted.compress
        else None,
        checksum=wanted.checksum or "sha256",
        verify=wanted.verify,
        resume=(wanted.resume or again) and not streamed,
        # What a killed run has streamed to the place is its own.
        overwrite=wanted.overwrite or (streamed and again),
        bandwidth=_bandwidth(wanted, run) if run else None,
        snapshot=_snapshot(wanted, run) if wanted.snapshot else None,
        power_off=wanted.power_off,
        power_off_timeout=wanted.power_off_timeout,
        seal=_seal(wanted),
        manifest=_manifest(wanted) if wanted.manifest else False,
        upload=place,
        keep_local=wanted.keep_local or not place or streamed,
        stream_upload=streamed,
    )


def _bandwidth(wanted: ExportRequest, run: Run) -> Bandwidth:
    return Bandwidth(rate=pace(run, wanted.bandwidth), burst=wanted.burst, adaptive=wanted.adaptive)


def _snapshot(wanted: ExportRequest, run: Run | None) -> SnapshotOptions:
    return SnapshotOptions(
        name=wanted.snapshot_name or (f"job-{run.job.id}" if run else ""),
        memory=wanted.snapshot_memory,
        quiesce=wanted.snapshot_quiesce,
        delete=not wanted.snapshot_keep,
        keep=wanted.snapshot_most,
        consolidate=wanted.consolidate,
    )


def _seal(wanted: ExportRequest) -> Seal | None:
    passphrase = reference(wanted.passphrase, "passphrase")
    if passphrase is None and not wanted.recipients:
        return None
    return Seal(passphrase=passphrase, recipients=tuple(wanted.recipients))


def _manifest(wanted: ExportRequest) -> ManifestOptions:
    return ManifestOptions(
        encoding=wanted.manifest_encoding,
        target_format=wanted.manifest_target,
        tags=wanted.manifest_tags,
    )
