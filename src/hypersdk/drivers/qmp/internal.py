"""Snapshots inside qcow2 images: of all disks at once, with or without memory.

A running QEMU takes them itself; what is stopped is left to qemu-img. QEMU refuses to revert an
image that has dirty bitmaps, since they would lie afterwards. So reverting removes the bitmaps
first, and the next backup reads everything once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypersdk.datapath import bitmaps, qemutools
from hypersdk.drivers.qmp.blocknodes import tops
from hypersdk.drivers.qmp.definition import DiskRecord, MachineRecord, SnapshotRecord
from hypersdk.drivers.qmp.errors import from_words, native
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.state import InstanceFolder
from hypersdk.model.errors import HyperSDKError, InvalidState

#: Seconds that qemu-img may take to change the tables of an image.
_SECONDS = 300
_NONE_SUCH = "snapshot not found"


def check_possible(machine: MachineRecord) -> None:
    """Raises InvalidState for memory that no image can keep."""
    if not machine.disks:
        raise InvalidState(
            f"'{machine.name}' has no disk that could keep its memory",
            hint="Memory is kept inside its first qcow2 disk: attach one.",
        )


def take_live(
    power: Power, folder: InstanceFolder, machine: MachineRecord, kept: SnapshotRecord
) -> None:
    """Of an instance that has a process. With memory the guest stands still meanwhile."""
    doing = f"make snapshot '{kept.name}' of '{machine.name}'"
    with native(doing), power.session(folder, machine.name) as session:
        nodes = tops(session)
        named = [nodes[disk.name] for disk in machine.disks]
        if not kept.memory:
            data = [{"device": node, "name": kept.tag} for node in named]
            actions = [{"type": "blockdev-snapshot-internal-sync", "data": d} for d in data]
            session.execute("transaction", actions=actions)
            return
    power.job(
        folder,
        machine.name,
        "snapshot-save",
        doing,
        tag=kept.tag,
        vmstate=named[0],
        devices=named,
    )


def take_stopped(machine: MachineRecord, kept: SnapshotRecord) -> None:
    taken: list[DiskRecord] = []
    try:
        for disk in machine.disks:
            _qemu_img("-c", disk, kept.tag, f"make snapshot '{kept.name}' of '{machine.name}'")
            taken.append(disk)
    except HyperSDKError:
        for disk in taken:
            _qemu_img("-d", disk, kept.tag, f"remove snapshot '{kept.name}'")
        raise


def load(
    power: Power, folder: InstanceFolder, machine: MachineRecord, kept: SnapshotRecord
) -> None:
    """Memory and disks into a machine that was just started and is halted."""
    with power.session(folder, machine.name) as session:
        nodes = tops(session)
    named = [nodes[disk.name] for disk in machine.disks]
    power.job(
        folder,
        machine.name,
        "snapshot-load",
        f"revert '{machine.name}' to '{kept.name}'",
        tag=kept.tag,
        vmstate=named[0],
        devices=named,
    )


def revert_disks(machine: MachineRecord, kept: SnapshotRecord) -> None:
    """Disks of a stopped instance."""
    for disk in machine.disks:
        _qemu_img("-a", disk, kept.tag, f"revert '{machine.name}' to '{kept.name}'")


def drop_bitmaps(disks: Iterable[DiskRecord]) -> None:
    """All records of changes of images that nobody uses."""
    for disk in disks:
        if disk.format == "qcow2":
            for bitmap in bitmaps.image_records(disk.path, disk.format).bitmaps:
                bitmaps.remove_bitmap(disk.path, bitmap.name)


def delete(
    power: Power,
    folder: InstanceFolder,
    machine: MachineRecord,
    kept: SnapshotRecord,
    disks: Sequence[DiskRecord],
    *,
    running: bool,
) -> None:
    """``disks``: as they were. Those that were detached since are looked after as well."""
    doing = f"delete snapshot '{kept.name}' of '{machine.name}'"
    attached = {disk.path for disk in machine.disks} if running else set()
    live = [disk.name for disk in disks if disk.path in attached]
    if live:
        with power.session(folder, machine.name) as session:
            nodes = tops(session)
        devices = [nodes[name] for name in live]
        power.job(folder, machine.name, "snapshot-delete", doing, tag=kept.tag, devices=devices)
    for disk in disks:
        if disk.path not in attached:
            _qemu_img("-d", disk, kept.tag, doing, missing_ok=True)


def _qemu_img(
    option: str, disk: DiskRecord, tag: str, doing: str, *, missing_ok: bool = False
) -> None:
    command = ["qemu-img", "snapshot", "-q", option, tag, disk.path]
    done = qemutools.run(command, subject=disk.path, seconds=_SECONDS)
    gone = _NONE_SUCH in done.complaint.lower() or "No such file" in done.complaint
    if done.status != 0 and not (missing_ok and gone):
        raise from_words(done.complaint, doing)
