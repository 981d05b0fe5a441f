"""Go back to a snapshot whose disks are overlays, where libvirt itself cannot: before 9.9.

Only to one after which none was made: what was written since lies in its overlays alone. They are
replaced by empty ones, and libvirt's notes on domain and snapshot by such that name the new ones.
The old ones go last, so that whatever fails before leaves the domain as it was.
"""

from __future__ import annotations

import contextlib
import copy
import secrets
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.elements import document
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.folders import Folders
from hypersdk.drivers.libvirt.images import Images
from hypersdk.drivers.libvirt.snapshotxml import by_hand, domain_then
from hypersdk.drivers.libvirt.usage import Usage
from hypersdk.model.errors import HyperSDKError, NotSupported

_SECURE = libvirt.VIR_DOMAIN_XML_SECURE
_EXTERNAL = "disks/disk[@snapshot='external']"


def renew_overlays(
    connection: Connection, folders: Folders, domain: libvirt.virDomain, snapshot: str
) -> None:
    """It is stopped afterwards. Raises NotSupported before anything is changed."""
    name = domain.name()
    with native(f"revert '{name}' to '{snapshot}'"):
        kept = domain.snapshotLookupByName(snapshot)
        xml = translate.parsed(kept.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE))
        overlays = _overlays(xml)
        _check(domain, kept, xml, overlays)
        if domain.isActive():
            domain.destroy()
        if domain.hasManagedSaveImage():
            domain.managedSaveRemove()
        with Images(connection, folders) as images:
            fresh = {
                target: _fresh(images, folders, path, _base(xml, target))
                for target, path in overlays.items()
            }
            before = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | _SECURE)
            connection.native.defineXML(document(_with_sources(_definition_then(xml), fresh)))
            try:
                _redefine(domain, xml, fresh)
            except BaseException:
                connection.native.defineXML(before)
                raise
    _remove(connection, folders, overlays.values())


def _check(
    domain: libvirt.virDomain,
    kept: libvirt.virDomainSnapshot,
    xml: Element,
    overlays: Mapping[str, str],
) -> None:
    now = translate.parsed(domain.XMLDesc())
    in_use = {translate.target_of(d): translate.source_path(d) for d in translate.disks(now)}
    memory = xml.find("memory[@snapshot='external']")
    for problem, wrong in (
        ("its memory is kept outside of the images", memory is not None),
        ("others were made after it", kept.numChildren() > 0),
        ("not all of its disks are files", len(overlays) < len(xml.findall(_EXTERNAL))),
        (
            "its overlays are not those in use",
            any(in_use.get(target) != path for target, path in overlays.items()),
        ),
    ):
        if wrong:
            raise NotSupported(
                f"cannot revert '{domain.name()}' to '{kept.getName()}', whose disks are external: "
                f"{problem}. This libvirt cannot do it, 9.9 and later can",
                hint=by_hand(xml),
            )


def _overlays(xml: Element) -> dict[str, str]:
    """Disk → the file that was put over it."""
    found = {disk.get("name", ""): translate.source_path(disk) for disk in xml.iterfind(_EXTERNAL)}
    return {target: path for target, path in found.items() if path.startswith("/")}


def _base(xml: Element, target: str) -> tuple[str, str]:
    """Path and format of what a disk was when the snapshot was made."""
    for disk in translate.disks(domain_then(xml)):
        if translate.target_of(disk) == target:
            return translate.source_path(disk), translate.disk(disk).format
    return "", ""


def _fresh(images: Images, folders: Folders, old: str, base: tuple[str, str]) -> str:
    """An empty overlay beside the old one."""
    path = PurePosixPath(old)
    stem = path.stem.rpartition("~")[0] or path.stem
    with folders.volume(base[0]) as volume:
        size = volume.info()[1]
    return images.overlay(
        str(path.parent), f"{stem}~{secrets.token_hex(3)}{path.suffix}", size, base
    )


def _definition_then(xml: Element) -> Element:
    """How the domain was defined; of one that ran, apart from how it ran."""
    found = xml.find("inactiveDomain")
    then = copy.deepcopy(domain_then(xml) if found is None else found)
    then.tag = "domain"
    return then


def _with_sources(domain: Element, paths: Mapping[str, str]) -> Element:
    for disk in translate.disks(domain):
        target, source = translate.target_of(disk), disk.find("source")
        driver = disk.find("driver")
        if target not in paths or source is None or driver is None:
            continue
        disk.set("type", "file")
        source.attrib.clear()
        source.set("file", paths[target])
        driver.set("type", "qcow2")
        for chain in disk.findall("backingStore"):
            disk.remove(chain)
    return domain


def _redefine(domain: libvirt.virDomain, xml: Element, fresh: Mapping[str, str]) -> None:
    told = copy.deepcopy(xml)
    for disk in told.iterfind(_EXTERNAL):
        source = disk.find("source")
        if source is not None and disk.get("name") in fresh:
            source.set("file", fresh[disk.get("name", "")])
    domain.snapshotCreateXML(
        document(told),
        libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT,
    )


def _remove(connection: Connection, folders: Folders, paths: Iterable[str]) -> None:
    """The old overlays. One that somebody needs stays, and so does one that cannot be removed:
    the domain does not use it any more."""
    usage = Usage.of(connection, folders)
    for path in paths:
        if not usage.of_image(path):
            with contextlib.suppress(HyperSDKError), folders.volume(path) as volume, native(path):
                volume.delete()
