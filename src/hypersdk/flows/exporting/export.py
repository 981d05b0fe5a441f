"""Export one instance: plan, prepare, read, write, check, publish."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.diskports import BackupView, DiskView
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.exporting import archives, evidence, moments, package, transport, verify
from hypersdk.flows.exporting.checkpoint import FinishedDisk
from hypersdk.flows.exporting.completing import Completing, complete
from hypersdk.flows.exporting.copying import Copied, DiskCopier
from hypersdk.flows.exporting.description import Description
from hypersdk.flows.exporting.layout import CHECKSUMS_FILE, Layout
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.flows.exporting.package import Contents
from hypersdk.flows.exporting.plan import (
    check_disks,
    chosen_disks,
    details_or_none,
    file_names,
    reading_of,
)
from hypersdk.flows.exporting.results import Exported, ExportedDisk, ExportedFile
from hypersdk.flows.exporting.side_by_side import side_by_side
from hypersdk.flows.exporting.state import ExportState, taken_over
from hypersdk.flows.exporting.streaming import check_streaming, stream_disk
from hypersdk.flows.exporting.uploading import Uploader, place_of
from hypersdk.model.errors import HyperSDKError, NotSupported
from hypersdk.model.instances import Consistency, Instance, InstanceState
from hypersdk.model.machines import Snapshot
from hypersdk.model.progress import Reporter, silent


def export_instance(
    hypervisor: Hypervisor,
    name: str,
    folder: Path,
    *,
    options: ExportOptions | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> Exported:
    """Write an instance of any hypervisor to files in ``folder``.

    Files get their names when all of them are complete, durable and, where asked for, were read
    again. The instance is not changed unless the options say so, and what they do to it is undone.

    Raises InstanceNotFound, AlreadyExists, InvalidInput, InvalidState, HypervisorError,
    DataPathError, Damaged, Interrupted.
    """
    options = options or ExportOptions()
    transport.check_compression(options)
    check_streaming(options)
    token = cancel or CancelToken()
    with token.scope():
        return _Export(hypervisor, name, Path(folder), options, reporter, token).run()


class _Export:
    """One run."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        name: str,
        folder: Path,
        options: ExportOptions,
        reporter: Reporter,
        token: CancelToken,
    ) -> None:
        if hypervisor.inventory is None:
            raise NotSupported(f"{hypervisor.url} does not list instances")
        moments.disks_of(hypervisor)
        self._hypervisor = hypervisor
        self._options = replace(options, seal=options.seal.ready()) if options.seal else options
        self._reporter, self._token = reporter, token
        self._instance = hypervisor.inventory.instance(name)
        check_disks(self._instance, options)
        self._details = details_or_none(hypervisor, self._instance.name)
        self._layout = Layout(folder, self._instance.name, options.format)
        place = place_of(options)
        self._uploader = (
            Uploader(place, self._layout.name, options, reporter, token) if place else None
        )
        self._copier = DiskCopier(self._instance.name, options, reporter)
        self._warnings: list[str] = []
        self._copied: dict[str, Copied] = {}
        self._consistency = Consistency.OFFLINE
        self._reading = ""
        self._time = time.time()

    def run(self) -> Exported:
        began = time.monotonic()
        layout = self._layout
        layout.begin()
        with layout.locked():
            self._state = ExportState(layout, self._instance, self._options)
            self._make_room()
            try:
                contents = self._read()
                files = self._complete(contents)
                if self._options.stream_upload:
                    self._send_rest(files)
                else:
                    self._publish(files)
            except BaseException:
                self._tidy()
                raise
            layout.end()
        exported = self._result(contents, files, time.monotonic() - began)
        if self._uploader is None or self._options.stream_upload:
            return exported
        uploaded = self._uploader.upload(exported)
        return replace(uploaded, seconds=time.monotonic() - began)

    def _make_room(self) -> None:
        """Decide what of an earlier run is of use, and refuse what is in the way."""
        layout, earlier = self._layout, self._state.resumable
        if earlier is not None:
            layout.take_back(earlier.publishing)
            keep = {disk.file for disk in earlier.disks.values()}
            layout.clear(keep | {layout.archive})
        else:
            layout.clear()
        if not self._options.overwrite:
            names = file_names(self._instance, layout, self._options)
            try:
                layout.refuse_existing([*names, CHECKSUMS_FILE])
            except BaseException:
                if earlier is None:
                    layout.end()
                raise

    def _read(self) -> Contents:
        """All disks, in the moment that the options ask for."""
        with self._prepared() as snapshot, ExitStack() as opened:
            earlier = self._state.resumable
            before = self._evidence(snapshot)
            since = evidence.tokens_of(earlier.moment) if earlier else {}
            view = opened.enter_context(
                moments.begin_view(self._hypervisor, self._now(), snapshot, since, self._options)
            )
            self._observe(view, snapshot)
            if useless := self._state.useless:
                self._warnings.append(useless)
            finished: dict[str, FinishedDisk] = {}
            if earlier is not None:
                finished, reasons = taken_over(
                    earlier, view, before, self._layout, verify=self._options.verify
                )
                self._warnings += reasons
                self._time = earlier.time if finished else self._time
            moment = evidence.with_tokens(self._evidence(snapshot), view)
            self._state.begin(moment, self._time, finished)
            contents = self._copy(view, finished)
            try:
                view.confirm()
            except BaseException:
                self._state.begin({}, self._time)  # what was read is of no known moment
                raise
        return contents

    def _now(self) -> Instance:
        inventory = self._hypervisor.inventory
        assert inventory is not None
        return inventory.instance(self._instance.name)

    def _evidence(self, snapshot: Snapshot | None) -> evidence.Evidence:
        if snapshot is not None and moments.reads_snapshots(self._hypervisor):
            return evidence.of_snapshot(self._instance, snapshot)
        return evidence.of_instance(self._now())

    @contextmanager
    def _prepared(self) -> Iterator[Snapshot | None]:
        """What the options ask to be done to the instance; undone in the end."""
        options = self._options
        with ExitStack() as undo:
            moments.forget_leftover(self._hypervisor, self._instance, self._state, options)
            if options.power_off:
                undo.enter_context(
                    moments.switched_off(
                        self._hypervisor, self._instance, options.power_off_timeout, self._state
                    )
                )
            snapshot = None
            if options.snapshot is not None:
                snapshot = undo.enter_context(
                    moments.snapshotted(
                        self._hypervisor, self._instance, options.snapshot, self._state
                    )
                )
            yield snapshot

    def _observe(self, view: BackupView, snapshot: Snapshot | None) -> None:
        self._consistency = view.consistency
        self._warnings += view.warnings
        told = self._details.reading if self._details else ""
        ways = dict.fromkeys(each.reason.partition("; ")[2] for each in view.disks)
        usual = reading_of(view.instance, self._options)
        self._reading = told or "; ".join([usual, *filter(None, ways)])
        if snapshot is not None and not moments.reads_snapshots(self._hypervisor):
            self._warnings.append(
                f"{self._hypervisor.url} cannot read snapshots: the disks are those of the moment "
                f"after snapshot {snapshot.name}"
            )

    def _copy(self, view: BackupView, finished: Mapping[str, FinishedDisk]) -> Contents:
        disks = tuple(each.disk for each in view.disks)
        files = self._layout.disk_files(chosen_disks(view.instance, disks))
        files = {disk.name: files[disk.name] for disk in disks}
        done = dict(finished)
        description = Description.of(view, self._details)
        if self._options.format == "ova":
            done = self._copy_archive(view, files, done, description)
        else:
            self._copy_files(view, files, done)
        self._warnings += self._copier.notes
        return Contents(description=description, disks=disks, files=files, finished=done)

    def _copy_files(
        self, view: BackupView, files: Mapping[str, str], done: dict[str, FinishedDisk]
    ) -> None:
        missing = [each for each in view.disks if each.disk.name not in done]

        def work(disk: DiskView, token: CancelToken) -> None:
            name = disk.disk.name
            if self._options.stream_upload and self._uploader is not None:
                done[name], self._copied[name] = stream_disk(
                    disk, files[name], self._copier, self._uploader, self._options, token
                )
            else:
                path = self._layout.staging / files[name]
                done[name], self._copied[name] = self._copier.to_file(disk, path, token)
            self._state.finished(name, done[name])

        side_by_side(missing, work, parallel=self._options.parallel, cancel=self._token)

    def _copy_archive(
        self,
        view: BackupView,
        files: Mapping[str, str],
        done: dict[str, FinishedDisk],
        description: Description,
    ) -> dict[str, FinishedDisk]:
        ordered = archives.in_order(view)
        files = {each.disk.name: files[each.disk.name] for each in ordered}
        room = archives.descriptor_room(len(view.definition.content) if view.definition else 0)
        path = self._layout.staging / self._layout.archive
        with archives.opened(path, self._layout.name, files) as archive:
            kept = archive.begin(room, archives.first_finished(files, done))
            finished = {name: done[name] for name in list(files)[: len(kept)]}
            for each in ordered[len(finished) :]:
                name = each.disk.name
                finished[name], self._copied[name] = archive.add(each, self._copier, self._token)
                self._state.finished(name, finished[name])
            contents = Contents(
                description=description,
                disks=tuple(each.disk for each in ordered),
                files=files,
                finished=finished,
            )
            archive.finish(
                lambda sizes: description.descriptor(
                    self._layout.name, contents.written("ova", sizes), contents.others()
                )
            )
        return finished

    def _complete(self, contents: Contents) -> list[ExportedFile]:
        """Everything besides the disks. Returns all files, in the order of their publication."""
        return complete(
            Completing(
                layout=self._layout,
                contents=contents,
                options=self._options,
                details=self._details,
                source=self._hypervisor.url,
                time=self._time,
                warnings=self._warnings,
                reporter=self._reporter,
                token=self._token,
            )
        )

    def _publish(self, files: list[ExportedFile]) -> None:
        names = package.names_of(files)
        if self._options.verify:
            verify.verify_checksums(self._layout.staging, self._reporter, self._token)
        self._state.publishing(names)
        replaced = self._layout.own_files() if self._options.overwrite else frozenset()
        self._layout.publish(names, overwrite=self._options.overwrite)
        self._layout.remove(replaced - frozenset(names))

    def _send_rest(self, files: list[ExportedFile]) -> None:
        """The small files behind the disks that were streamed."""
        assert self._uploader is not None
        for file in files:
            path = self._layout.staging / file.name
            if path.exists():
                self._uploader.put(path)

    def _tidy(self) -> None:
        """After an error: what is complete stays when a later run can go on with it."""
        finished = self._state.current.disks
        if self._options.stream_upload and self._uploader is not None:
            for disk in finished.values():
                self._uploader.delete(disk.file)
        elif finished and self._lasting():
            self._layout.clear({disk.file for disk in finished.values()} | {self._layout.archive})
            return
        self._layout.end()

    def _lasting(self) -> bool:
        """The moment can be met again: a stopped instance, or a snapshot that is still there."""
        moment = self._state.current.moment
        if not self._state.begun:  # an earlier run's, as it was left
            return True
        with CancelToken().scope():
            try:
                if "snapshot" in moment:
                    return moments.snapshot_exists(self._hypervisor, self._instance, moment)
                # The end of the view may have touched the files of the disks.
                self._state.moved_on({**moment, **evidence.files_of(self._now())})
            except HyperSDKError:
                # It cannot be asked now. Whoever resumes has to show that it is the same anyway.
                return True
        return moment.get("state") == InstanceState.STOPPED.value

    def _result(self, contents: Contents, files: list[ExportedFile], seconds: float) -> Exported:
        streamed = self._options.stream_upload
        return Exported(
            instance=self._instance,
            format=self._options.format,
            folder=self._layout.folder,
            files=tuple(files),
            disks=tuple(self._disk(contents, disk.name) for disk in contents.disks),
            checksum=self._options.checksum,
            time=datetime.fromtimestamp(self._time, UTC),
            seconds=seconds,
            consistency=self._consistency,
            reading=self._reading,
            snapshot=self._kept_snapshot(),
            verified=self._options.verify,
            uploaded=self._uploader.url if self._uploader and streamed else "",
            local=not streamed,
            warnings=tuple(self._warnings),
        )

    def _kept_snapshot(self) -> str:
        options = self._options.snapshot
        return self._state.current.snapshot if options and not options.delete else ""

    def _disk(self, contents: Contents, name: str) -> ExportedDisk:
        finished, copied = contents.finished[name], self._copied.get(name)
        return ExportedDisk(
            name=name,
            file=contents.files[name],
            size=finished.capacity,
            read=copied.read if copied else 0,
            stored=finished.size,
            seconds=copied.seconds if copied else 0.0,
            taken_over=copied is None,
        )
