"""Snapshots beside images: the image stays as it was, and an overlay holds what comes later.

For instances with a disk whose format keeps none inside (raw). An overlay lies beside its image
and refers to it by its bare name, so both can be moved together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypersdk.datapath import qemutools
from hypersdk.drivers.qmp.blocknodes import tops
from hypersdk.drivers.qmp.definition import (
    DiskRecord,
    MachineRecord,
    SnapshotRecord,
    from_plain,
)
from hypersdk.drivers.qmp.errors import from_words, native
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.state import InstanceFolder
from hypersdk.model.errors import AlreadyExists, InvalidState

#: Seconds that writing an overlay into its image may take.
_COMMIT_SECONDS = 24 * 3600


def put_over(disks: tuple[DiskRecord, ...], tag: str) -> tuple[DiskRecord, ...]:
    """Overlays for disks; what was made is removed again on failure."""
    made: list[DiskRecord] = []
    try:
        for disk in disks:
            made.append(_overlay(disk, tag))  # noqa: PERF401 - known one by one, to be removed
    except BaseException:
        remove(made)
        raise
    return tuple(made)


def remove(disks: list[DiskRecord] | tuple[DiskRecord, ...]) -> None:
    for disk in disks:
        Path(disk.path).unlink(missing_ok=True)


def switch_live(
    power: Power, folder: InstanceFolder, machine: MachineRecord, over: tuple[DiskRecord, ...]
) -> None:
    """Have a running machine write to overlays, all from the same moment on."""
    added: list[str] = []
    with (
        native(f"make a snapshot of '{machine.name}'"),
        power.session(folder, machine.name) as session,
    ):
        below = tops(session)
        actions: list[dict[str, Any]] = []
        try:
            for disk in over:
                node = f"{disk.name}-{os.urandom(4).hex()}"
                session.send("blockdev-add", _node(node, disk.path))
                added.append(node)
                data = {"node": below[disk.name], "overlay": node}
                actions.append({"type": "blockdev-snapshot", "data": data})
            session.execute("transaction", actions=actions)
        except BaseException:
            for node in added:
                session.attempt("blockdev-del", node_name=node)
            raise


def _node(name: str, path: str) -> dict[str, Any]:
    """An overlay without what it lies over, which its machine has open already."""
    file = {"driver": "file", "filename": path, "discard": "unmap"}
    return {
        "driver": "qcow2", "node-name": name, "file": file, "backing": None, "discard": "unmap"
    }  # fmt: skip


def absorb(
    power: Power,
    folder: InstanceFolder,
    machine: MachineRecord,
    kept: SnapshotRecord,
    *,
    running: bool,
) -> MachineRecord:
    """Write what follows a snapshot into its images, which then hold both; the instance without
    it. Raises InvalidState when more than one line of content follows."""
    frozen = from_plain(kept.machine).disks
    for disk in frozen:
        if len(_following(machine, disk)) > 1:
            raise InvalidState(
                f"snapshot '{kept.name}' of '{machine.name}' cannot be deleted: others branch off",
                hint="Delete all but one of those that follow it first.",
            )
    for disk in frozen:
        for following in _following(machine, disk):
            _commit(power, folder, machine, disk, following, running=running)
            machine = _renamed(machine, following, disk)
            Path(following).unlink(missing_ok=True)
        if not _used(machine, disk, kept) and disk.base:
            Path(disk.path).unlink(missing_ok=True)
    return machine


def abandoned(machine: MachineRecord) -> list[DiskRecord]:
    """Overlays that no snapshot needs once the present content is given up."""
    kept = {d.path for snapshot in machine.snapshots for d in from_plain(snapshot.machine).disks}
    return [disk for disk in machine.disks if disk.base and disk.path not in kept]


def _overlay(disk: DiskRecord, tag: str) -> DiskRecord:
    below = Path(disk.path)
    path = below.with_name(f"{below.name.partition('.')[0]}.{tag}.qcow2")
    command = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", below.name]
    command += ["-F", disk.format, str(path), str(disk.size)]
    if path.exists():
        raise AlreadyExists(f"{path} exists already", hint="Use another name for the snapshot.")
    done = qemutools.run(command, subject=str(path))
    if done.status != 0:
        path.unlink(missing_ok=True)
        raise from_words(done.complaint, f"make {path}")
    path.chmod(0o600)
    return replace(disk, path=str(path), format="qcow2", base=disk.path)


def _records(machine: MachineRecord) -> Iterator[DiskRecord]:
    yield from machine.disks
    for snapshot in machine.snapshots:
        yield from from_plain(snapshot.machine).disks


def _following(machine: MachineRecord, disk: DiskRecord) -> list[str]:
    """Overlays directly over an image."""
    return sorted({record.path for record in _records(machine) if record.base == disk.path})


def _used(machine: MachineRecord, disk: DiskRecord, without: SnapshotRecord) -> bool:
    others = replace(
        machine, snapshots=tuple(s for s in machine.snapshots if s.name != without.name)
    )
    return any(disk.path in (record.path, record.base) for record in _records(others))


def _commit(
    power: Power,
    folder: InstanceFolder,
    machine: MachineRecord,
    disk: DiskRecord,
    overlay: str,
    *,
    running: bool,
) -> None:
    doing = f"write {overlay} into {disk.path}"
    chain = _live_chain(power, folder, machine.name, disk.name) if running else {}
    if overlay in chain:
        top = next(iter(chain))
        nodes = {"device": chain[top], "base_node": chain[disk.path], "auto_dismiss": False}
        if top != overlay:  # what lies over it is told its new name
            nodes |= {"top_node": chain[overlay], "backing_file": Path(disk.path).name}
        power.job(folder, machine.name, "block-commit", doing, **nodes)
        with power.session(folder, machine.name) as session:
            # Nothing stands on it any more, but it is still there, and holds what it lay over.
            session.attempt("blockdev-del", node_name=chain[overlay])
        return
    command = ["qemu-img", "commit", "-q", "-f", "qcow2", overlay]
    done = qemutools.run(command, subject=overlay, seconds=_COMMIT_SECONDS)
    if done.status != 0:
        raise from_words(done.complaint, doing)
    for record in _records(machine):
        if record.base == overlay:  # what lay over the overlay lies over the image now
            _rebase(record.path, disk)


def _rebase(path: str, disk: DiskRecord) -> None:
    command = ["qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-F", disk.format]
    done = qemutools.run([*command, "-b", Path(disk.path).name, path], subject=path)
    if done.status != 0:
        raise from_words(done.complaint, f"put {path} over {disk.path}")


def _live_chain(power: Power, folder: InstanceFolder, name: str, disk: str) -> dict[str, str]:
    """File → node, from what the guest writes downwards."""
    with power.session(folder, name) as session:
        top = tops(session).get(disk)
        nodes = {node["node-name"]: node for node in session.execute("query-named-block-nodes")}
    chain: dict[str, str] = {}
    image = nodes[top]["image"] if top else None
    by_file = {node["file"]: n for n, node in nodes.items() if node["drv"] in ("qcow2", "raw")}
    while image is not None:
        chain[_path(image["filename"])] = by_file[image["filename"]]
        image = image.get("backing-image")
    return chain


def _path(filename: str) -> str:
    """A file that QEMU names; where it was given options it names them all, as JSON."""
    if not filename.startswith("json:"):
        return filename
    node = json.loads(filename.removeprefix("json:"))
    while "filename" not in node:
        node = node["file"]
    return str(node["filename"])


def _renamed(machine: MachineRecord, old: str, new: DiskRecord) -> MachineRecord:
    """With an image in place of the overlay that was written into it."""

    def changed(disk: DiskRecord) -> DiskRecord:
        if disk.path == old:
            return replace(disk, path=new.path, format=new.format, base=new.base)
        return replace(disk, base=new.path) if disk.base == old else disk

    return replace(
        machine,
        disks=tuple(changed(disk) for disk in machine.disks),
        snapshots=tuple(_with_disks(snapshot, changed) for snapshot in machine.snapshots),
    )


def _with_disks(
    snapshot: SnapshotRecord, changed: Callable[[DiskRecord], DiskRecord]
) -> SnapshotRecord:
    then = from_plain(snapshot.machine)
    then = replace(then, disks=tuple(changed(disk) for disk in then.disks))
    return replace(snapshot, machine=then.plain())
