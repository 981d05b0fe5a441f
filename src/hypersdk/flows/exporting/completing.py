"""All files besides the disks, when these are there: descriptor, manifest, checksums; and what was
asked to be done with the files: read again, packed, sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypersdk.datapath.cancel import CancelToken
from hypersdk.flows.exporting import package, transport, verify
from hypersdk.flows.exporting.layout import Layout
from hypersdk.flows.exporting.manifests import Told, write_manifest
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.flows.exporting.package import Contents
from hypersdk.flows.exporting.results import ExportedFile
from hypersdk.model.details import InstanceDetails
from hypersdk.model.progress import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Completing:
    """An export whose disks are written."""

    layout: Layout
    contents: Contents
    options: ExportOptions
    details: InstanceDetails | None
    #: URL of the hypervisor, without secrets.
    source: str
    #: Of the moment, seconds since the epoch.
    time: float
    warnings: Sequence[str]
    reporter: Reporter
    token: CancelToken


def complete(export: Completing) -> list[ExportedFile]:
    """Make them, in the staging folder. Returns all files, in the order of their publication."""
    layout, options, contents = export.layout, export.options, export.contents
    disks, others, known = _written(export)
    if options.verify and not options.stream_upload:
        verify.verify_package(layout.staging, [*disks, *others], export.reporter)
    names = transport.carry(
        layout.staging,
        disks,
        others,
        options,
        contents.description.instance.name,
        export.reporter,
        export.token,
    )
    files = package.write_checksums(
        layout.staging, names, known, options.checksum, contents, export.token
    )
    wishes = options.manifest_options
    if wishes is not None:
        told = Told(
            contents=contents,
            files=files,
            details=export.details,
            format=options.format,
            source=export.source,
            time=export.time,
            warnings=export.warnings,
        )
        files.append(write_manifest(layout.staging, told, wishes, options.checksum))
    return files


def _written(export: Completing) -> tuple[list[str], list[str], dict[str, str]]:
    """Files of disks, other files, and digests that are known already."""
    contents, layout = export.contents, export.layout
    if export.options.format == "ova":
        return [layout.archive], [], {}
    disks = [contents.files[disk.name] for disk in contents.disks]
    others = package.write_descriptor(layout, contents)
    finished = contents.finished.values()
    known = {disk.file: disk.digests[export.options.checksum] for disk in finished}
    return disks, others, known
