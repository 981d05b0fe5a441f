"""``--verify-manifest``: is it a valid artifact manifest, and are its disks as it says?"""

from __future__ import annotations

from pathlib import Path

from hypersdk import read_manifest, verify_manifest
from hypersdk.cli import words
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.progress import watching
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Terminal


def run(terminal: Terminal, path: Path) -> None:
    """Raises InvalidInput for a wrong manifest, Damaged for disks that are not as it says."""
    manifest = read_manifest(path)
    with cancelling(terminal) as cancel, watching(terminal) as watch:
        checked = {
            found.checksum.name: found
            for found in verify_manifest(path, reporter=watch, cancel=cancel)
        }
    disks = []
    table = Table((*left("DISK", "FILE"), *right("SIZE"), *left("CHECKSUM")))
    for disk in manifest.disks:
        compared = disk.local_path in checked
        disks.append(
            {"id": disk.id, "file": disk.local_path, "bytes": disk.bytes, "compared": compared}
        )
        result = "as noted" if compared else "none noted"
        table.add(disk.id, disk.local_path, words.size(disk.bytes), result)
    name = manifest.source.vm_name if manifest.source else ""
    terminal.result({"manifest": str(path), "name": name, "disks": disks})
    if terminal.quiet:
        terminal.line(f"verified: {path}")
        return
    terminal.table(table)
    terminal.line(f"{path}: a manifest of version {manifest.manifest_version}, all as it says")
