"""Rules about disks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hypersdk.flows.preflight.rule import BOTH, Rule
from hypersdk.flows.preflight.subject import Subject
from hypersdk.model.concerns import Severity
from hypersdk.model.details import DiskDetails

#: Bytes of a serial number that virtio-blk hands to a guest (VIRTIO_BLK_ID_BYTES).
_SERIAL_MOST = 20
#: Disks that fit a Q35 or i440FX machine as virtio-blk devices beside its other PCI devices.
_DISKS_MOST = 23
_SECTOR = 512


def _each(found: Callable[[Subject, DiskDetails], bool], said: str) -> Callable[..., Iterator[str]]:
    """A check that says the same of every disk for which ``found`` holds."""

    def check(subject: Subject) -> Iterator[str]:
        for disk in subject.details.disks:
            if found(subject, disk):
                yield f"disk {disk.name} of {subject.name} {said}"

    return check


def _untracked(subject: Subject, disk: DiskDetails) -> bool:
    # Where it is off for the whole instance, that is said once.
    return disk.changed_blocks is False and subject.details.changed_blocks is True


def _many(subject: Subject) -> Iterator[str]:
    count = len(subject.details.disks)
    if count > _DISKS_MOST:
        yield f"{subject.name} has {count} disks"


def _long_serial(subject: Subject) -> Iterator[str]:
    for disk in subject.details.disks:
        if len(disk.serial) > _SERIAL_MOST:
            yield (
                f"the guest sees the serial number of disk {disk.name} of {subject.name}, which "
                f"has {len(disk.serial)} characters"
            )


RULES = (
    Rule(
        id="disk.capacity-invalid",
        title="Disk without a size",
        severity=Severity.CRITICAL,
        check=_each(lambda _, disk: disk.size <= 0, "has no size"),
        fix="Look at the disk on its hypervisor: its descriptor is damaged, or it is gone. "
        "Leave it out with --exclude-disk.",
        errands=BOTH,
    ),
    Rule(
        id="disk.size-odd",
        title="Size that is no multiple of a sector",
        severity=Severity.WARNING,
        check=_each(
            lambda _, disk: disk.size > 0 and disk.size % _SECTOR != 0,
            "has a size that is no multiple of 512 bytes; image formats count in sectors",
        ),
        fix="Enlarge the disk to the next multiple of 512 bytes.",
        errands=BOTH,
    ),
    Rule(
        id="disk.changed-blocks-off",
        title="Changed blocks not recorded for a disk",
        severity=Severity.WARNING,
        check=_each(_untracked, "is left out of the record of changed blocks"),
        fix="Set scsiX:Y.ctkEnabled to TRUE for it; until then it is read in full every time.",
    ),
    Rule(
        id="disk.independent",
        title="Independent disk",
        severity=Severity.WARNING,
        check=_each(
            lambda subject, disk: disk.independent is True and not subject.running,
            "is independent: no snapshot contains it, so it can only be read while the instance "
            "is stopped",
        ),
        fix="Leave the instance stopped until the export is done, or set the disk to dependent.",
    ),
    Rule(
        id="disk.independent-running",
        title="Independent disk of a running instance",
        severity=Severity.CRITICAL,
        check=_each(
            lambda subject, disk: disk.independent is True and subject.running,
            "is independent: the snapshot that a running instance is read from does not contain it",
        ),
        fix="Stop the instance (--power-off), set the disk to dependent, or leave it out with "
        "--exclude-disk.",
    ),
    Rule(
        id="disk.rdm-physical",
        title="Physical raw device mapping",
        severity=Severity.CRITICAL,
        check=_each(
            lambda _, disk: disk.backing == "rdm-physical",
            "is a raw device in physical mode, which neither snapshots nor exports contain",
        ),
        fix="Leave it out with --exclude-disk and copy the LUN by means of its storage, or change "
        "the mapping to virtual mode.",
    ),
    Rule(
        id="disk.rdm-virtual",
        title="Virtual raw device mapping",
        severity=Severity.WARNING,
        check=_each(
            lambda _, disk: disk.backing == "rdm-virtual",
            "is a raw device in virtual mode; it becomes a plain file of the LUN's whole size",
        ),
        fix="Nothing, if a file is what you want; otherwise leave it out with --exclude-disk.",
    ),
    Rule(
        id="disk.host-device",
        title="Device of the host used as a disk",
        severity=Severity.WARNING,
        check=_each(
            lambda _, disk: disk.backing == "device",
            "is a device of the host; it becomes a plain file of the device's whole size",
        ),
        fix="Nothing, if a file is what you want; otherwise leave it out with --exclude-disk.",
    ),
    Rule(
        id="disk.shared",
        title="Shared disk",
        severity=Severity.WARNING,
        check=_each(
            lambda subject, disk: disk.shared is True and not subject.running,
            "is shared: another instance may write to it while it is read",
        ),
        fix="Stop all instances that share it, and export it with one of them only.",
    ),
    Rule(
        id="disk.multi-writer-running",
        title="Multi-writer disk of a running instance",
        severity=Severity.CRITICAL,
        check=_each(
            lambda subject, disk: disk.shared is True and subject.running,
            "is shared by several writers: no snapshot of a running instance with such a disk can "
            "be taken",
        ),
        fix="Stop the instance and all others that share the disk, or leave it out with "
        "--exclude-disk.",
    ),
    Rule(
        id="disk.too-many",
        title="More disks than targets take",
        severity=Severity.WARNING,
        check=_many,
        fix=f"More than {_DISKS_MOST} disks do not fit a KVM guest as virtio-blk; use virtio-scsi "
        "there.",
        errands=BOTH,
    ),
    Rule(
        id="disk.serial-long",
        title="Serial number that will be cut",
        severity=Severity.INFO,
        check=_long_serial,
        fix=f"virtio-blk hands {_SERIAL_MOST} characters of it to the guest; use virtio-scsi where "
        "the guest finds its disks by it.",
    ),
    Rule(
        id="disk.nvme",
        title="NVMe controller",
        severity=Severity.INFO,
        check=_each(
            lambda _, disk: disk.controller.lower() == "nvme",
            "is on an NVMe controller; it gets another name in the guest on most targets",
        ),
        fix="Have the guest find its filesystems by UUID or label.",
    ),
)
