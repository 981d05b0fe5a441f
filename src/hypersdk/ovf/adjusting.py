"""Keep a producer's own descriptor, and make it speak of the files that were written.

vSphere describes a machine better than anyone else can; but its descriptor is made before the
files are, with names, sizes and sometimes without any reference to them. Disks that were left out
go, with the hardware that hangs on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from xml.etree.ElementTree import (
    Element,
    SubElement,
    indent,
    register_namespace,
    tostring,
)

from hypersdk.ovf.machine import STREAM_OPTIMIZED, OvfDisk
from hypersdk.ovf.parsing import parse_xml
from hypersdk.ovf.reading import DISK, read_ovf
from hypersdk.ovf.writing import NVRAM, OVF, nvram_setting, other_id

for _prefix, _uri in (
    ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
    ("cim", "http://schemas.dmtf.org/wbem/wscim/1/common"),
    ("vbox", "http://www.virtualbox.org/ovf/machine"),
):
    register_namespace(_prefix, _uri)


def adjusted(content: bytes, disks: Mapping[int, OvfDisk], files: Mapping[str, int]) -> bytes:
    """The descriptor with new files. ``disks``: number of a disk in the descriptor, in the order
    of its hardware, → what is written for it; others are left out. ``files``: other files, with
    their sizes.

    Raises InvalidInput for what `read_ovf` refuses.
    """
    machine = read_ovf(content)
    envelope = parse_xml(content)
    kept = {machine.disks[number].id: disk for number, disk in disks.items()}
    _references(envelope, kept, files)
    _disk_section(envelope, kept)
    _hardware(envelope, kept)
    _variables(envelope, files)
    indent(envelope)
    written: bytes = tostring(envelope, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def renamed(
    content: bytes, files: Mapping[str, str], others: Mapping[str, int] | None = None
) -> bytes:
    """The descriptor with other names for the files of disks, as plain streamOptimized VMDKs of
    unknown size. ``files``: id of a disk → name; ``others``: the other files that stay, with their
    sizes.

    Raises InvalidInput for what `read_ovf` refuses.
    """
    chosen = {
        number: replace(
            disk, file=files[disk.id], file_size=0, compression="identity", format=STREAM_OPTIMIZED
        )
        for number, disk in enumerate(read_ovf(content).disks)
    }
    return adjusted(content, chosen, others or {})


def matching(content: bytes, names: Sequence[tuple[str, int]]) -> dict[int, str]:
    """Number of a disk in the descriptor → name of the instance's disk that it is.

    ``names``: ``(name, capacity)`` of the instance's disks. They match by bus, controller and unit
    (``scsi0-1``), else by their order when there are as many of them and the capacities agree.
    """
    described = read_ovf(content).disks
    known = dict(names)
    places = {
        number: f"{disk.bus}{disk.controller_number}-{disk.unit}"
        for number, disk in enumerate(described)
    }
    found = {number: place for number, place in places.items() if place in known}
    if len(found) == len(known) and len(set(found.values())) == len(found):
        return found
    in_order = dict(enumerate(name for name, _ in names))
    fits = len(described) == len(names) and all(
        disk.capacity == capacity for disk, (_, capacity) in zip(described, names, strict=True)
    )
    return in_order if fits else {}


def _references(envelope: Element, disks: Mapping[str, OvfDisk], files: Mapping[str, int]) -> None:
    section = next(_named(envelope, "References"), None)
    if section is None:
        section = Element(f"{{{OVF}}}References")
        envelope.insert(0, section)
    for child in list(section):
        section.remove(child)
    for disk in disks.values():
        attributes = {"id": _file_id(disk), "href": disk.file}
        if disk.file_size:
            attributes["size"] = str(disk.file_size)
        if disk.compression != "identity":
            attributes["compression"] = disk.compression
        _add(section, "File", attributes)
    for number, (name, size) in enumerate(files.items(), 1):
        _add(section, "File", {"id": other_id(number), "href": name, "size": str(size)})


def _disk_section(envelope: Element, disks: Mapping[str, OvfDisk]) -> None:
    for section in _named(envelope, "DiskSection"):
        for disk in list(_named(section, "Disk")):
            written = disks.get(_attribute(disk, "diskId"))
            if written is None:
                section.remove(disk)
                continue
            disk.attrib.update(
                {
                    f"{{{OVF}}}fileRef": _file_id(written),
                    f"{{{OVF}}}format": written.format,
                    f"{{{OVF}}}capacity": str(written.capacity),
                    f"{{{OVF}}}capacityAllocationUnits": "byte",
                }
            )
            disk.attrib.pop(f"{{{OVF}}}populatedSize", None)
            if written.populated:
                disk.attrib[f"{{{OVF}}}populatedSize"] = str(written.populated)


def _hardware(envelope: Element, disks: Mapping[str, OvfDisk]) -> None:
    for section in [each for each in envelope.iter() if _local(each) == "VirtualHardwareSection"]:
        for item in list(section):
            texts = {_local(field): (field.text or "").strip() for field in item}
            resource = texts.get("HostResource", "")
            if texts.get("ResourceType") == str(DISK):
                if resource.rpartition("/")[2] not in disks:
                    section.remove(item)
            elif "/file/" in resource:  # an image in a drive that is not in the package
                for field in [each for each in item if _local(each) == "HostResource"]:
                    item.remove(field)


def _variables(envelope: Element, files: Mapping[str, int]) -> None:
    """VMware names the file of the UEFI variables by its id in a setting: ``ovf:/file/file3``."""
    there = [n for n, name in enumerate(files, 1) if name.endswith(NVRAM)]
    for section in [each for each in envelope.iter() if _local(each) == "VirtualHardwareSection"]:
        for setting in list(_named(section, "ExtraConfig")):
            is_file = _attribute(setting, "value").startswith("ovf:/file/")
            if is_file and _attribute(setting, "key") == "nvram":
                section.remove(setting)
        for number in there:
            section.append(nvram_setting(number))


def _file_id(disk: OvfDisk) -> str:
    return f"file-{disk.id}"


def _add(parent: Element, tag: str, attributes: Mapping[str, str]) -> None:
    SubElement(parent, f"{{{OVF}}}{tag}", {f"{{{OVF}}}{k}": v for k, v in attributes.items()})


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _named(element: Element, name: str) -> Iterator[Element]:
    return (child for child in list(element) if _local(child) == name)


def _attribute(element: Element, name: str) -> str:
    return next((v for k, v in element.attrib.items() if k.rpartition("}")[2] == name), "")
