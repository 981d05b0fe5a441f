"""Instances made from instances: full copies, and overlays over a template."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.cloudinit import reissued
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.definition import check_name
from hypersdk.drivers.libvirt.elements import document
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.folders import Folders
from hypersdk.drivers.libvirt.images import Images, downloaded
from hypersdk.drivers.libvirt.inventory import described
from hypersdk.drivers.libvirt.marks import NAMESPACE, PREFIX, Marks, mark, marks
from hypersdk.drivers.libvirt.usage import Usage
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    InstanceNotFound,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import Instance

#: Of a cloud-init image; ours have less than 1 MiB.
_SEED_MAX = 16 << 20


class LibvirtClones:
    """May be used by any number of threads.

    A template is a note of ours in the domain's metadata. Our own ``start`` obeys it; virsh and
    other programs do not know it.
    """

    def __init__(self, connection: Connection, folders: Folders) -> None:
        self._connection = connection
        self._folders = folders

    def clone(self, name: str, new: str, *, linked: bool = False) -> Instance:
        """Disks come beside the original's, called ``<new>-<disk>``, without backing images,
        snapshots, bitmaps and checkpoints. CDs and disks marked as shared stay common to both.
        UEFI variables are copied; an emulated TPM begins empty.

        Raises HypervisorError for a disk that cannot be copied (network disks, devices outside of
        a pool), InvalidState also for one with a saved running state, which belongs to its disks.
        """
        check_name(new)
        with self._domain(name, "clone") as domain, ExitStack() as undo:
            self._refuse_taken(new)
            _require_stopped(domain, name)
            xml = translate.parsed(
                domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
            )
            if linked and not marks(xml).template:
                self.make_template(name)
                undo.callback(self._note, domain, template=False)
            with Images(self._connection, self._folders) as images:
                self._become(images, xml, name, new, linked=linked)
                # Somebody may have started it meanwhile: then the copy is of no use.
                _require_stopped(domain, name)
                made = described(self._connection.native.defineXML(document(xml)))
            undo.pop_all()
            return made

    def make_template(self, name: str) -> None:
        """Marking a template again is no error."""
        with self._domain(name, "make a template of") as domain:
            _require_stopped(domain, name)
            self._note(domain, template=True)

    def unmake_template(self, name: str) -> None:
        """Unmarking an instance that is no template is no error."""
        with self._domain(name, "make an instance of") as domain:
            xml = translate.parsed(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
            usage = Usage.of(self._connection, self._folders, without=domain.UUIDString())
            for disk in translate.disks(xml):
                path = translate.source_path(disk)
                users = usage.of_image(path)
                if disk.find("shareable") is None and path and users:
                    raise InvalidState(
                        f"'{name}' is needed as it is: {path} is used by {users}",
                        hint="Delete its linked clones first.",
                    )
            self._note(domain, template=False)

    def _become(self, images: Images, xml: Element, name: str, new: str, *, linked: bool) -> None:
        """Copy what belongs to ``name`` alone, and make ``xml`` the description of ``new``."""
        identity = str(uuid.uuid4())
        noted = replace(marks(xml), made=True, template=False)
        for disk in translate.disks(xml):
            if disk.find("shareable") is None:
                self._copy(images, disk, new, linked=linked)
        self._copy_variables(images, xml, new)
        if noted.seed:
            seed = self._copy_seed(images, noted.seed, identity, (name, new))
            _replace_source(xml, noted.seed, seed)
            noted = replace(noted, seed=seed)
        _give_identity(xml, new, identity)
        mark(xml, noted)

    def _copy(self, images: Images, disk: Element, new: str, *, linked: bool) -> None:
        """Make a copy, and put its path into ``disk``."""
        target, path = translate.target_of(disk), translate.source_path(disk)
        kind = disk.get("type")
        format = translate.disk(disk).format
        if not path or kind not in {"file", "block"} or format not in {"qcow2", "raw"}:
            raise HypervisorError(
                f"disk '{target}' ({kind}, {format}) cannot be cloned",
                hint="Files and block devices of a pool can, as raw or qcow2.",
            )
        source = disk.find("source")
        if source is None:
            raise HypervisorError(
                f"disk '{target}' has no source", hint="Attach an image to it, or detach it."
            )
        folder = str(PurePosixPath(path).parent)
        with self._original(path) as volume:
            if kind == "block" and linked:
                raise HypervisorError(
                    f"disk '{target}' is a block device: an overlay has no place there",
                    hint="Make a full clone.",
                )
            if kind == "block":
                source.set("dev", images.copy_device(volume, f"{new}-{target}"))
            elif linked:
                size = volume.info()[1]
                made = images.overlay(folder, f"{new}-{target}.qcow2", size, (path, format))
                source.set("file", made)
                _set_format(disk, "qcow2")
            else:
                made = images.copy(volume, folder, f"{new}-{target}.{format}", format)
                source.set("file", made)
        for chain in disk.findall("backingStore"):
            disk.remove(chain)

    @contextmanager
    def _original(self, path: str) -> Iterator[libvirt.virStorageVol]:
        with ExitStack() as stack:
            try:
                volume = stack.enter_context(self._folders.volume(path))
            except NotFound as error:
                raise HypervisorError(
                    f"{path} cannot be cloned: {error.message}",
                    hint="Move it into a storage pool first.",
                ) from error
            yield volume

    def _copy_variables(self, images: Images, xml: Element, new: str) -> None:
        """UEFI variables, if the original has been started and so has any."""
        variables = xml.find("os/nvram")
        if variables is None or not (path := (variables.text or "").strip()):
            return
        folder = str(PurePosixPath(path).parent)
        variables.text = f"{folder}/{new}_VARS{PurePosixPath(path).suffix}"
        try:
            with self._folders.volume(path) as volume:
                kind = variables.get("format", "raw")
                variables.text = images.copy(
                    volume, folder, PurePosixPath(variables.text).name, kind
                )
        except NotFound:
            return  # libvirt makes them from the firmware's template at the first start

    def _copy_seed(self, images: Images, path: str, identity: str, names: tuple[str, str]) -> str:
        folder = str(PurePosixPath(path).parent)
        with self._folders.volume(path) as volume:
            size = volume.info()[1]
            if size > _SEED_MAX:
                raise HypervisorError(
                    f"{path} is no cloud-init image of ours: {size} bytes",
                    hint="Take it out of the drive first.",
                )
            content = downloaded(self._connection, volume)
        return images.upload(folder, f"{names[1]}-seed.iso", reissued(content, identity, names))

    def _refuse_taken(self, name: str) -> None:
        try:
            self._connection.domain(name)
        except InstanceNotFound:
            return
        raise AlreadyExists(
            f"'{name}' exists on {self._connection.uri}", hint="Choose another name."
        )

    def _note(self, domain: libvirt.virDomain, *, template: bool) -> None:
        xml = translate.parsed(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        noted: Marks = replace(marks(xml), template=template)
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            document(noted.element(namespace="")),
            PREFIX,
            NAMESPACE,
            libvirt.VIR_DOMAIN_AFFECT_CONFIG,
        )

    @contextmanager
    def _domain(self, name: str, verb: str) -> Iterator[libvirt.virDomain]:
        domain = self._connection.domain(name)
        with native(f"{verb} '{name}'"):
            yield domain


def _require_stopped(domain: libvirt.virDomain, name: str) -> None:
    if domain.isActive():
        raise InvalidState(f"'{name}' is not stopped", hint="Stop it first.")
    if domain.hasManagedSaveImage():
        raise InvalidState(
            f"the running state of '{name}' is saved, its disks are as in the middle of work",
            hint="Start it and shut it down, or: virsh managedsave-remove",
        )


def _give_identity(xml: Element, name: str, identity: str) -> None:
    """What must be there once only; libvirt makes what is left out."""
    for tag, value in (("name", name), ("uuid", identity)):
        for own in xml.findall(tag):
            own.text = value
    for nic in xml.iterfind("devices/interface"):
        for mac in nic.findall("mac"):
            nic.remove(mac)
    _clear_addresses(xml)


def _clear_addresses(xml: Element) -> None:
    """Of the machine, besides its MACs."""
    for system in xml.iterfind("sysinfo/system"):
        for word in ("uuid", "serial"):
            for entry in system.findall(f"entry[@name='{word}']"):
                system.remove(entry)
    for generation in xml.findall("genid"):
        generation.text = None
    for cid in xml.iterfind("devices/vsock/cid"):
        cid.attrib.clear()
        cid.set("auto", "yes")
    for screen in xml.iterfind("devices/graphics"):
        if screen.get("autoport") == "no" and screen.get("port"):
            screen.set("autoport", "yes")
            del screen.attrib["port"]


def _replace_source(xml: Element, old: str, new: str) -> None:
    for source in xml.iterfind("devices/disk/source"):
        if source.get("file") == old:
            source.set("file", new)


def _set_format(disk: Element, format: str) -> None:
    driver = disk.find("driver")
    if driver is None:
        driver = Element("driver", name="qemu")
        disk.insert(0, driver)
    driver.set("type", format)
