"""Checkpoints and the bitmaps behind them, of running and of stopped domains.

libvirt makes and removes bitmaps only while a domain runs. While it is stopped we do it with
qemu-img, and describe the checkpoint to libvirt (its "redefine"): the guest's next start goes on
recording, and the next backup is incremental.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import libvirt

from hypersdk.datapath.bitmaps import add_bitmap, image_records, remove_bitmap
from hypersdk.drivers.libvirt.disksources import DiskSource, split_sources
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.tokens import Moment, Token
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.model.errors import DataPathError, HyperSDKError, HypervisorError, NotFound

_REDEFINE = libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE
_VALIDATE = libvirt.VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE
_FORGET = libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY
_WITHOUT_DOMAIN = libvirt.VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN


def checkpoint_names(domain: libvirt.virDomain) -> list[str]:
    """Of all programs, oldest first."""
    with native(f"list the checkpoints of '{domain.name()}'"):
        flags = libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL
        return [checkpoint.getName() for checkpoint in domain.listAllCheckpoints(flags)]


def describe(domain: libvirt.virDomain, name: str) -> Element | None:
    """libvirt's description of a checkpoint; None when it knows none of this name."""
    with native(f"look at checkpoint '{name}' of '{domain.name()}'"):
        try:
            return parsed(domain.checkpointLookupByName(name).getXMLDesc(_WITHOUT_DOMAIN))
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_CHECKPOINT:
                return None
            raise


def recorded_disks(description: Element) -> set[str]:
    """Disks whose changes a checkpoint records."""
    return {
        disk.get("name", "")
        for disk in description.iterfind("disks/disk")
        if disk.get("checkpoint", "bitmap") == "bitmap"
    }


def checkpoint_xml(
    moment: Moment,
    recording: Iterable[str],
    others: Iterable[str],
    created: int | None = None,
    parent: str = "",
) -> Element:
    """A ``<domaincheckpoint>`` that records some disks and leaves the others alone."""
    root = Element("domaincheckpoint")
    SubElement(root, "name").text = moment.name
    SubElement(root, "description").text = moment.identity
    if created is not None:
        SubElement(root, "creationTime").text = str(created)
    if parent:
        SubElement(SubElement(root, "parent"), "name").text = parent
    disks = SubElement(root, "disks")
    for name in recording:
        SubElement(disks, "disk", name=name, checkpoint="bitmap", bitmap=moment.name)
    for name in others:
        SubElement(disks, "disk", name=name, checkpoint="no")
    return root


def redefine(
    domain: libvirt.virDomain,
    moment: Moment,
    recording: Iterable[str],
    created: int,
    *,
    validate: bool,
    parent: str = "",
) -> None:
    """Tell libvirt of a checkpoint whose bitmaps exist. ``validate``: have it look; only while the
    domain runs. ``parent``: the one before, without which libvirt knows no order of the two.

    Raises HypervisorError when they do not exist or are broken.
    """
    with native(f"describe checkpoint '{moment.name}' of '{domain.name()}'"):
        recording = list(recording)
        xml = parsed(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE))
        rest = [name for name in _targets(xml) if name not in recording]
        root = checkpoint_xml(moment, recording, rest, created, parent)
        root.append(xml)
        flags = _REDEFINE | (_VALIDATE if validate else 0)
        domain.checkpointCreateXML(tostring(root, encoding="unicode"), flags)


def _targets(xml: Element) -> Iterator[str]:
    for disk in xml.iterfind("devices/disk"):
        target = disk.find("target")
        if target is not None and disk.get("device", "disk") in ("disk", "lun"):
            yield target.get("dev", "")


def missing_checkpoint(domain: libvirt.virDomain, token: Token, disk: str, *, running: bool) -> str:
    """Why the checkpoint of a token cannot be asked for changes; empty when it can.

    One that libvirt forgot (the domain was moved, or defined anew) is described to it again when
    its name can be nobody else's.
    """
    description = describe(domain, token.checkpoint)
    if description is None:
        if not token.moment.unique:
            return f"checkpoint {token.checkpoint} is gone"
        if not running:
            return ""  # its bitmap is looked for in the image
        try:
            redefine(domain, token.moment, [disk], token.created, validate=True)
        except HypervisorError as error:
            return f"checkpoint {token.checkpoint} is gone, with its bitmap ({error.message})"
        return ""
    if (description.findtext("description") or "") != token.identity:
        return f"checkpoint {token.checkpoint} is another one of the same name"
    if disk not in recorded_disks(description):
        return f"checkpoint {token.checkpoint} does not record this disk"
    return ""


# Stopped domains


@contextlib.contextmanager
def undone_on_failure() -> Iterator[list[Callable[[], object]]]:
    """Steps back, run in reverse order when the block fails."""
    steps: list[Callable[[], object]] = []
    try:
        yield steps
    except BaseException:
        for step in reversed(steps):
            with contextlib.suppress(HyperSDKError):  # the first error is the one to tell
                step()
        raise


def create_stopped(domain: libvirt.virDomain, moment: Moment, disks: Sequence[DiskSource]) -> None:
    """Begin to record the changes of a stopped domain's disks. All of them, or none."""
    with undone_on_failure() as back:
        for disk in disks:
            add_bitmap(disk.path, moment.name)
            back.append(lambda path=disk.path: remove_bitmap(path, moment.name))  # type: ignore[misc]
        created = Token.of(moment, disks[0]).created
        names = [disk.name for disk in disks]
        parent = (checkpoint_names(domain) or [""])[-1]
        redefine(domain, moment, names, created, validate=False, parent=parent)


def remove_checkpoint(domain: libvirt.virDomain, name: str) -> None:
    """Remove a checkpoint and its bitmaps, in whatever state the domain is; none is no error."""
    description = describe(domain, name)
    with native(f"remove checkpoint '{name}' of '{domain.name()}'"):
        if description is not None and domain.isActive():
            _remove_running(domain, name)
            return
        if not domain.isActive():
            for path in _qcow2_images(domain):
                if image_records(path, "qcow2").has(name):
                    remove_bitmap(path, name)
        if description is not None:
            domain.checkpointLookupByName(name).delete(_FORGET)


def _remove_running(domain: libvirt.virDomain, name: str) -> None:
    """libvirt removes nothing when one of the bitmaps is lost or broken: then those that are left.

    A broken one (power cut) stays in its image until the domain is stopped; it records nothing.
    """
    try:
        domain.checkpointLookupByName(name).delete(0)
    except libvirt.libvirtError:
        domain.checkpointLookupByName(name).delete(_FORGET)
        holding = _orphaned(domain, parsed(domain.XMLDesc(0)), name)
        if holding:
            redefine(domain, Moment(name, ""), holding, 0, validate=False)
            domain.checkpointLookupByName(name).delete(0)


def forget_checkpoint(domain: libvirt.virDomain, name: str) -> None:
    """Remove libvirt's description, leave the bitmaps. Raises NotFound."""
    with native(f"forget checkpoint '{name}' of '{domain.name()}'"):
        domain.checkpointLookupByName(name).delete(_FORGET)


def remove_orphans(domain: libvirt.virDomain, name: str) -> None:
    """Remove bitmaps without a checkpoint. Raises NotFound when there are none.

    Of a running domain by describing a checkpoint over them, which libvirt then removes.
    """
    if not domain.isActive():
        holding = [path for path in _qcow2_images(domain) if _holds(path, name)]
        for path in holding:
            remove_bitmap(path, name)
    else:
        with native(f"look at the disks of '{domain.name()}'"):
            xml = parsed(domain.XMLDesc(0))
        holding = _orphaned(domain, xml, name)
        if holding:
            redefine(domain, Moment(name, ""), holding, 0, validate=False)
            remove_checkpoint(domain, name)
    if not holding:
        raise NotFound(
            f"no disk of '{domain.name()}' has a bitmap '{name}'",
            hint="See which there are: qemu-img info",
        )


def _orphaned(domain: libvirt.virDomain, xml: Element, name: str) -> list[str]:
    """Disks of a running domain on which libvirt sees a bitmap of this name."""
    found = []
    for disk in _targets(xml):
        try:
            redefine(domain, Moment(name, ""), [disk], 0, validate=True)
        except HypervisorError:
            continue
        found.append(disk)
        forget_checkpoint(domain, name)
    return found


def _holds(path: str, name: str) -> bool:
    return image_records(path, "qcow2").has(name)


def _qcow2_images(domain: libvirt.virDomain) -> list[str]:
    """Images that belong to the domain alone: those on top."""
    with native(f"look at the disks of '{domain.name()}'"):
        found, _ = split_sources(domain, parsed(domain.XMLDesc(0)))
    return [disk.path for disk in found if disk.format == "qcow2" and Path(disk.path).exists()]


def bitmap_names(disks: Iterable[DiskSource], *, in_use: bool) -> set[str]:
    """Names of bitmaps in images that we may look at."""
    names: set[str] = set()
    for disk in disks:
        with contextlib.suppress(DataPathError, NotFound):  # of another host, or not ours to read
            if disk.format == "qcow2":
                records = image_records(disk.path, disk.format, in_use=in_use)
                names |= {bitmap.name for bitmap in records.bitmaps}
    return names
