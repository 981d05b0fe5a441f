"""``hyperexport import``: an exported package, or a disk image, becomes an instance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hypersdk import (
    Hypervisor,
    Imported,
    ImportOptions,
    Opening,
    check_import,
    import_package,
)
from hypersdk.cli import words
from hypersdk.cli.command import Command
from hypersdk.cli.hyperexport.connecting import connected
from hypersdk.cli.hyperexport.options.sealing import Sealing
from hypersdk.cli.hyperexport.options.source import PROVIDERS, Source
from hypersdk.cli.hyperexport.options.values import Given
from hypersdk.cli.hyperexport.seals import opening_of
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.parameters import NAMES, PATH, RATE, SIZE, Words
from hypersdk.cli.progress import watching
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.model.concerns import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    file: Path
    target: Source
    settings: ImportOptions
    force: bool


@click.command("import", cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=PATH)
@click.option(
    "-H",
    "--hypervisor",
    metavar="URL",
    help="Where it is to be, or its name in the settings.  [default: vsphere:// with GOVC_URL, "
    "GOVC_USERNAME, GOVC_PASSWORD]",
)
@click.option(
    "--provider",
    type=Words(list(PROVIDERS)),
    default="vsphere",
    show_default=True,
    help="The kind of hypervisor when no URL is given.",
)
@click.option("--name", default="", help="What it is called.  [default: as in the package]")
@click.option(
    "--map-network", type=NAMES, multiple=True, help="A network that is called otherwise."
)
@click.option("--folder", default="", metavar="PATH", help="Where people find it.")
@click.option("--storage", default="", metavar="NAME", help="Datastore, pool or folder for disks.")
@click.option("--start", is_flag=True, help="Start it.")
@click.option(
    "--disk-format",
    type=Words(["qcow2", "raw"]),
    default="qcow2",
    show_default=True,
    help="Of its disks, where the hypervisor keeps several.",
)
@click.option(
    "--bus",
    type=Words(["virtio", "scsi", "sata", "ide"]),
    help="Of its disks.  [default: by what the package says]",
)
@click.option("--keep-mac", is_flag=True, help="Keep the MAC addresses of its network cards.")
@click.option(
    "--vcpus", type=click.IntRange(min=1), metavar="N", help="Other than the package says."
)
@click.option("--memory", type=SIZE, help="Other than the package says: 4GiB.")
@click.option("--firmware", type=Words(["bios", "uefi"]), help="Other than the package says.")
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    metavar="N",
    help="Disks written at the same time.",
)
@click.option("--throttle", type=RATE, metavar="RATE", help="Write at most this much: 100MiB/s.")
@click.option("--trust-sizes", is_flag=True, help="Allow disks that are huge for their files.")
@click.option(
    "--passphrase-from",
    "passphrase",
    metavar="REFERENCE",
    help="What opens an encrypted package: env:NAME, file:PATH, keyring:SERVICE/USER, prompt:",
)
@click.option("--keyfile", type=PATH, metavar="FILE", help="The same: a file whose text it is.")
@click.option(
    "--identity",
    "identities",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="The same: an identity of age.",
)
@click.option("--force", is_flag=True, help="Go on although something critical was found before.")
@click.pass_obj
def import_command(terminal: Terminal, /, **given: Any) -> None:
    """Make an instance of a package (OVF, OVA) or of a disk image.

    \b
    hyperexport import web.ova -H libvirt+qemu:///system --map-network "VM Network"=default
    hyperexport import export-web/web.ovf --name web2 --start
    """
    target = Source(
        hypervisor=given["hypervisor"] or "",
        provider=given["provider"],
        names=(),
        batch=None,
        filters={},
        folder="",
    )
    settings = ImportOptions(
        name=given["name"],
        networks=dict(given["map_network"]),
        folder=given["folder"],
        storage=given["storage"],
        start=given["start"],
        disk_format=given["disk_format"],
        bus=given["bus"] or "",
        keep_macs=given["keep_mac"],
        vcpus=given["vcpus"],
        memory=given["memory"],
        firmware=given["firmware"] or "",
        parallel=given["parallel"],
        opening=_opening(terminal, given),
        trust_sizes=given["trust_sizes"],
        throttle=given["throttle"],
    )
    options = Options(file=given["file"], target=target, settings=settings, force=given["force"])
    run(terminal, options)


def _opening(terminal: Terminal, given: Given) -> Opening | None:
    """None when no key was named: most packages are not encrypted."""
    named = Sealing(
        passphrase=given["passphrase"] or "",
        keyfile=given["keyfile"],
        identities=given["identities"],
    )
    return opening_of(terminal, named) if named != Sealing() else None


def run(terminal: Terminal, options: Options) -> None:
    with connected(terminal, options.target) as hypervisor:
        _check(terminal, hypervisor, options)
        with cancelling(terminal) as cancel, watching(terminal) as watch:
            imported = import_package(
                options.file,
                hypervisor,
                options=options.settings,
                reporter=watch,
                cancel=cancel,
            )
        _show(terminal, hypervisor.url, imported)


def _check(terminal: Terminal, hypervisor: Hypervisor, options: Options) -> None:
    """Raises ConcernsFound for what is critical; the rest is said."""
    found = check_import(
        hypervisor,
        options.file,
        name=options.settings.name,
        networks=options.settings.networks,
        storage=options.settings.storage,
    )
    found.demand(forced=options.force)
    for concern in found.concerns:
        if concern.severity is not Severity.INFO:
            terminal.note(f"{concern.severity.value}: {concern.message}")


def _show(terminal: Terminal, url: str, imported: Imported) -> None:
    name = imported.instance.name
    size = sum(disk.size for disk in imported.disks)
    document: Document = {
        "name": name,
        "id": imported.instance.id,
        "hypervisor": url,
        "started": imported.started,
        "verified": imported.verified,
        "disks": [
            {
                "name": each.name,
                "file": each.file,
                "size": each.size,
                "written": each.written,
                "seconds": round(each.seconds, 3),
            }
            for each in imported.disks
        ],
        "seconds": round(imported.seconds, 3),
        "warnings": list(imported.warnings),
    }
    terminal.result(document)
    if terminal.quiet:
        terminal.line(f"success: {name} imported to {url} ({words.size(size)})")
    else:
        _table(terminal, imported)
        facts = [words.duration(imported.seconds)]
        facts += ["digests compared"] if imported.verified else []
        facts += ["started"] if imported.started else []
        terminal.line(f"{name}: imported to {url}: {', '.join(facts)}")
    for warning in imported.warnings:
        terminal.complain(f"warning: {name}: {warning}")


def _table(terminal: Terminal, imported: Imported) -> None:
    table = Table((*left("DISK", "FILE"), *right("SIZE", "WRITTEN", "SECONDS")))
    for disk in imported.disks:
        sizes = (words.size(disk.size), words.size(disk.written))
        table.add(disk.name, disk.file, *sizes, f"{disk.seconds:.1f}")
    terminal.table(table)
