"""What is written, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hypersdk import BatchLimits
from hypersdk.cli.hyperexport.options.values import Given, Option, refuse, yes_no
from hypersdk.cli.parameters import PATH, Words

FORMATS = ("ovf", "ova", "qcow2", "raw", "vmdk", "vhdx", "vdi", "vhd")
CODECS = ("gzip", "zstd", "lz4")

OPTIONS: tuple[Option, ...] = (
    click.option(
        "--output",
        type=PATH,
        metavar="DIR",
        help="The folder of the export.  [default: ./export-NAME; of several: ./exports]",
    ),
    click.option(
        "--format",
        type=Words(FORMATS),
        default="ovf",
        show_default=True,
        help="Of the files: a package (ovf, ova) or an image per disk.",
    ),
    click.option(
        "--parallel",
        type=click.IntRange(1, 64),
        default=4,
        show_default=True,
        metavar="N",
        help="Disks of one instance that are read at the same time.",
    ),
    *(
        click.option(
            f"--{name}",
            type=click.IntRange(min=1),
            default=4,
            show_default=True,
            metavar="N",
            help=help,
        )
        for name, help in (
            ("at-once", "Instances that are exported at the same time."),
            ("per-host", "Of them, on one host."),
            ("per-datastore", "Of them, with a disk on one datastore or pool."),
        )
    ),
    click.option(
        "--exclude-disk", "exclude", multiple=True, metavar="NAME", help="Leave out a disk."
    ),
    yes_no("compress", help="Compress what is written."),
    click.option(
        "--compress-codec",
        type=Words(CODECS),
        default="gzip",
        show_default=True,
        help="With --compress: how.",
    ),
    click.option(
        "--compress-level",
        type=click.IntRange(0, 22),
        default=0,
        metavar="N",
        help="With --compress and --pipeline-compress: how hard; 0: as is usual.",
    ),
    click.option(
        "--checksum",
        type=Words(["sha256", "sha512", "blake3"]),
        default="sha256",
        show_default=True,
        help="The digest in checksums.txt and beside each file.",
    ),
    yes_no("verify", help="Read all files again when they are complete."),
    click.option("--resume", is_flag=True, help="Go on with what an earlier run left unfinished."),
    click.option("--overwrite", is_flag=True, help="Replace an export that is there."),
    click.option(
        "--upload",
        metavar="URL",
        help="Bring the files to s3://, azure://, gs://, sftp:// or file:.",
    ),
    yes_no(
        "stream-upload",
        help="With --upload and --format ovf: straight there, without local files. Not of an OVA, "
        "where the size of a disk stands before its data.",
    ),
    yes_no(
        "keep-local", default=True, help="Keep the local files after the upload.  [default: yes]"
    ),
    yes_no("manifest", help="Write artifact-manifest.json."),
    yes_no("manifest-checksum", default=True, help="Checksums of the disks in it.  [default: yes]"),
    click.option(
        "--manifest-target",
        type=Words(["qcow2", "raw", "vdi"]),
        default="qcow2",
        show_default=True,
        help="The format that a later conversion shall make.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What was said about them."""

    output: Path | None
    format: str
    parallel: int
    limits: BatchLimits
    exclude: frozenset[str]
    #: Empty: nothing is compressed.
    codec: str
    level: int
    checksum: str
    verify: bool
    resume: bool
    overwrite: bool
    upload: str
    stream_upload: bool
    keep_local: bool
    manifest: bool
    manifest_target: str


def files(given: Given) -> Files:
    """Raises InvalidInput for what contradicts itself."""
    upload = given["upload"] or ""
    refuse(
        given["stream_upload"] and not upload,
        "--stream-upload needs a place to upload to",
        "Name it: --upload s3://bucket/prefix",
    )
    refuse(
        not given["keep_local"] and not upload,
        "without --upload the local files are all there is",
        "Add --upload URL, or leave out --no-keep-local.",
    )
    refuse(
        not given["manifest_checksum"],
        "a manifest without checksums would be refused by whoever checks it",
        "Leave out --no-manifest-checksum.",
    )
    return Files(
        output=given["output"],
        format=given["format"],
        parallel=given["parallel"],
        limits=BatchLimits(
            total=given["at_once"],
            per_host=given["per_host"],
            per_datastore=given["per_datastore"],
        ),
        exclude=frozenset(given["exclude"]),
        codec=given["compress_codec"] if given["compress"] else "",
        level=given["compress_level"],
        checksum=given["checksum"],
        verify=given["verify"],
        resume=given["resume"],
        overwrite=given["overwrite"],
        upload=upload,
        stream_upload=given["stream_upload"],
        keep_local=given["keep_local"],
        manifest=given["manifest"],
        manifest_target=given["manifest_target"],
    )
