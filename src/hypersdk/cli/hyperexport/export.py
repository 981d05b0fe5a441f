"""The export itself: of one instance, or of many at the same time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from hypersdk import (
    Bandwidth,
    BatchItem,
    Compression,
    Destination,
    Exported,
    ExportOptions,
    HyperSDKError,
    Hypervisor,
    Interrupted,
    ManifestOptions,
    SnapshotOptions,
    check_export,
    export_batch,
    export_instance,
)
from hypersdk.cli import words
from hypersdk.cli.hyperexport import handover, listeners, show
from hypersdk.cli.hyperexport.connecting import chosen, connected
from hypersdk.cli.hyperexport.names import sanitized
from hypersdk.cli.hyperexport.options import files, notices, reading, repository, sealing
from hypersdk.cli.hyperexport.options import handover as handing
from hypersdk.cli.hyperexport.options.files import Files
from hypersdk.cli.hyperexport.options.handover import Handover
from hypersdk.cli.hyperexport.options.notices import Telling
from hypersdk.cli.hyperexport.options.sealing import Sealing
from hypersdk.cli.hyperexport.options.source import Source
from hypersdk.cli.hyperexport.options.values import Given
from hypersdk.cli.hyperexport.outcomes import Journal, Outcome, Run
from hypersdk.cli.hyperexport.seals import seal_of
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.progress import watching
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.model.concerns import Severity

#: Where several exports go when nothing else is said.
SEVERAL = Path("exports")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was said about an export."""

    source: Source
    files: Files
    sealing: Sealing
    bandwidth: Bandwidth | None
    snapshot: SnapshotOptions | None
    power_off: bool
    #: Seconds.
    power_off_timeout: float
    freeze: bool
    force: bool
    telling: Telling
    handover: Handover

    def folder(self, name: str) -> Path:
        """Where the files of this instance go."""
        if not self.source.several:
            return self.files.output or Path(f"export-{sanitized(name)}")
        return (self.files.output or SEVERAL) / sanitized(name)

    def destination(self, name: str) -> Destination:
        """For the checks before it."""
        written = self.files
        return Destination(
            folder=self.folder(name),
            format=written.format,
            upload=written.upload,
            overwrite=written.overwrite,
            resume=written.resume,
            converts=self.handover.pipeline is not None,
        )

    def settings(self, terminal: Terminal) -> ExportOptions:
        """What the export itself needs to know. Asks for a passphrase if it has to."""
        written = self.files
        return ExportOptions(
            format=written.format,
            parallel=written.parallel,
            compression=Compression(written.codec, written.level) if written.codec else None,
            checksum=written.checksum,
            verify=written.verify,
            resume=written.resume,
            overwrite=written.overwrite or self.force,
            exclude=written.exclude,
            freeze=self.freeze,
            bandwidth=self.bandwidth,
            snapshot=self.snapshot,
            power_off=self.power_off,
            power_off_timeout=self.power_off_timeout,
            seal=seal_of(terminal, self.sealing),
            manifest=self._manifest(),
            upload=written.upload,
            keep_local=written.keep_local,
            stream_upload=written.stream_upload,
        )

    def _manifest(self) -> ManifestOptions | bool:
        handed = self.handover.pipeline or self.handover.queue
        if not self.files.manifest and handed is None:
            return False
        return ManifestOptions(
            target_format=self.files.manifest_target,
            sections=handover.sections(self.handover, self.files.manifest_target),
        )


def options(given: Given, where: Source) -> Options:
    """Raises InvalidInput for what contradicts itself."""
    repository.increments(given)  # options of a repository without --incremental
    return Options(
        source=where,
        files=files.files(given),
        sealing=sealing.sealing(given),
        bandwidth=reading.bandwidth(given),
        snapshot=reading.snapshot(given),
        power_off=given["power_off"],
        power_off_timeout=reading.power_off_timeout(given),
        freeze=not given["no_freeze"],
        force=given["force"],
        telling=notices.telling(given),
        handover=handing.handover(given),
    )


def run(terminal: Terminal, options: Options) -> None:
    settings = options.settings(terminal)
    with connected(terminal, options.source) as hypervisor:
        names = chosen(hypervisor, options.source)
        described = Run(
            names=names,
            hypervisor=hypervisor.url,
            format=settings.format,
            place=settings.upload or str(options.folder(names[0])),
        )
        journal = Journal(described, listeners.all_of(terminal, options.telling))
        work = _Work(terminal, options, settings, hypervisor, journal)
        work.export(names)
    journal.ended()


@dataclass(slots=True)
class _Work:
    """One run."""

    terminal: Terminal
    options: Options
    settings: ExportOptions
    hypervisor: Hypervisor
    journal: Journal
    #: Of each instance that is done, for JSON.
    documents: list[Document] = field(default_factory=list)

    def export(self, names: tuple[str, ...]) -> None:
        if self.options.source.several:
            self._batch(names)
        else:
            self._single(names[0])
        self.terminal.result({"exports": self.documents})

    def _single(self, name: str) -> None:
        began = time.monotonic()
        try:
            self._check(name)
            with cancelling(self.terminal) as cancel, watching(self.terminal) as watch:
                exported = export_instance(
                    self.hypervisor,
                    name,
                    self.options.folder(name),
                    options=self.settings,
                    reporter=watch,
                    cancel=cancel,
                )
        except HyperSDKError as error:
            self._failed(name, error, time.monotonic() - began)
        else:
            self._done(name, exported)

    def _batch(self, names: tuple[str, ...]) -> None:
        ready = [name for name in names if self._ready(name)]
        with cancelling(self.terminal) as cancel, watching(self.terminal) as watch:
            report = export_batch(
                self.hypervisor,
                ready,
                self.options.files.output or SEVERAL,
                options=self.settings,
                limits=self.options.files.limits,
                reporter=watch,
                cancel=cancel,
                settled=self._noted,
            )
        for item in report.items:
            if item.exported is not None:
                self._done(item.name, item.exported)
            else:
                self.journal.settled(outcome_of(item, self.settings))
        show.summary(self.terminal, self.journal.outcomes)

    def _ready(self, name: str) -> bool:
        try:
            self._check(name)
        except HyperSDKError as error:
            self._failed(name, error, 0.0)
            return False
        return True

    def _check(self, name: str) -> None:
        """Raises ConcernsFound for what is critical; the rest is said."""
        found = check_export(self.hypervisor, name, self.options.destination(name))
        found.demand(forced=self.options.force)
        for concern in found.concerns:
            if concern.severity is not Severity.INFO:
                self.terminal.note(f"{concern.severity.value}: {name}: {concern.message}")

    def _noted(self, item: BatchItem) -> None:
        """While the others go on."""
        if item.exported is not None:
            self.terminal.note(f"{item.name}: exported in {words.duration(item.seconds)}")
        elif item.error is not None:
            self.terminal.complain(f"{item.name}: {item.error.message}")

    def _done(self, name: str, exported: Exported) -> None:
        """Hand it over, then say and note that it is done."""
        try:
            handed = handover.run(self.terminal, self.options.handover, exported)
        except HyperSDKError as error:
            self._failed(name, error, exported.seconds)
            return
        document = show.export_document(exported)
        if handed:
            document["handover"] = handed
        self.documents.append(document)
        show.exported(self.terminal, exported)
        self.journal.settled(_complete(name, exported, self.settings))

    def _failed(self, name: str, error: HyperSDKError, seconds: float) -> None:
        place = str(self.options.folder(name))
        self.journal.settled(Outcome(name=name, place=place, seconds=seconds, error=error))


def outcome_of(item: BatchItem, settings: ExportOptions) -> Outcome:
    """How one instance of a batch ended."""
    if item.exported is not None:
        return _complete(item.name, item.exported, settings)
    error = item.error or Interrupted(f"{item.name} was not begun")
    return Outcome(name=item.name, place=str(item.folder), seconds=item.seconds, error=error)


def _complete(name: str, exported: Exported, settings: ExportOptions) -> Outcome:
    return Outcome(
        name=name,
        place=str(exported.folder) if exported.local else exported.uploaded,
        size=exported.size,
        files=len(exported.files),
        seconds=exported.seconds,
        compressed=settings.compression is not None,
        encrypted=settings.seal is not None,
        verified=exported.verified,
        uploaded=exported.uploaded,
    )
