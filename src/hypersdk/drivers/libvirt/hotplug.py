"""Change the devices of a domain, also while it runs.

What is changed is changed in the running machine, when there is one, and in the definition, when
there is one: the next start finds it as well.
"""

from __future__ import annotations

import contextlib
import copy
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.definition import (
    checked,
    disk_element,
    free_target,
    nic_element,
    targets,
)
from hypersdk.drivers.libvirt.elements import document, element
from hypersdk.drivers.libvirt.errors import complaint, native, translated
from hypersdk.drivers.libvirt.folders import Folders
from hypersdk.drivers.libvirt.images import Images
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
    OperationTimeout,
)
from hypersdk.model.instances import Disk
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from hypersdk.model.units import KIB, MIB

#: Seconds a guest has to let go of a device. libvirt itself waits five of them.
DETACH_SECONDS = 30.0
#: And until it is asked once more: one that is still booting misses it. QEMU forgets after five.
_ASK_SECONDS = 6.0
#: Names of disks on one bus: vda to vdz.
_MOST_DISKS = 26
#: Bytes of a block of memory in Linux; what is plugged in that is no multiple stays unused.
_MEMORY_BLOCK = 128 * MIB
_LIVE, _CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG

#: Where a domain is to be changed (libvirt's flag) → how it is there.
Views = Mapping[int, Element]


class LibvirtHotplug:
    """The ``hotplug`` part."""

    def __init__(
        self, connection: Connection, folders: Folders, *, detach_seconds: float = DETACH_SECONDS
    ) -> None:
        self._connection = connection
        self._folders = folders
        self._detach_seconds = detach_seconds

    def attach_disk(self, name: str, disk: DiskSpec) -> Disk:
        """It is made unless it is there. Raises InvalidInput, NotFound; LimitExceeded when the
        machine has no free socket, InvalidState for a bus that cannot be plugged while it runs."""
        checked(InstanceSpec(name=name, disks=(disk,)))
        for _ in range(_MOST_DISKS):
            try:
                return self._attach_disk(name, disk)
            except _TakenMeanwhileError:
                if disk.name:
                    raise
        return self._attach_disk(name, disk)

    def _attach_disk(self, name: str, disk: DiskSpec) -> Disk:
        domain, views = self._views(name)
        taken = {translate.target_of(d) for v in views.values() for d in v.iterfind("devices/disk")}
        if disk.name in taken:
            raise AlreadyExists(
                f"'{name}' has a disk '{disk.name}' already",
                hint="Choose another name, or leave it out.",
            )
        prefix = targets([replace(disk, name="")])[0][:2]
        target = disk.name or free_target(prefix, taken)
        with Images(self._connection, self._folders) as images:
            placed = images.place(disk, domain.name(), target)
            with _plugging(f"attach disk '{target}' to '{name}'"):
                if disk.bus == "scsi":
                    _provide_scsi(domain, views)
                domain.attachDeviceFlags(document(disk_element(placed)), _flags(views))
        with native(f"look at disk '{target}' of '{name}'"):
            return Disk(target, domain.blockInfo(target)[0], placed.format, placed.path)

    def detach_disk(self, name: str, disk: str) -> None:
        """While the guest holds on, the definition keeps the disk. Raises Interrupted."""
        self._detach(
            name,
            f"disk '{disk}'",
            lambda view: _first(d for d in translate.disks(view) if translate.target_of(d) == disk),
        )

    def attach_nic(self, name: str, nic: NicSpec) -> str:
        """Raises InvalidInput, NotFound for the network, AlreadyExists for the MAC address,
        LimitExceeded when the machine has no free socket."""
        checked(InstanceSpec(name=name, nics=(nic,)))
        domain, views = self._views(name)
        mac = (nic.mac or _new_mac()).lower()
        if any(_nic(view, mac) is not None for view in views.values()):
            raise AlreadyExists(
                f"'{name}' has a NIC {mac} already", hint="Leave the MAC address out: one is made."
            )
        with _plugging(f"attach a NIC to '{name}'"):
            if nic.network:
                domain.connect().networkLookupByName(nic.network)
            domain.attachDeviceFlags(document(nic_element(replace(nic, mac=mac))), _flags(views))
        return mac

    def detach_nic(self, name: str, mac: str) -> None:
        """As `detach_disk`."""
        self._detach(name, f"NIC {mac}", lambda view: _nic(view, mac.lower()))

    def set_vcpus(self, name: str, count: int) -> None:
        """Taking processors away from a running guest works for those that were added to it, and
        not under emulation, where QEMU (7.2) keeps what the guest has let go of.

        Raises InvalidInput; OperationTimeout when it keeps one, and nothing has changed then.
        """
        if count < 1:
            raise InvalidInput(f"'{name}' cannot have {count} vCPUs", hint="At least 1.")
        domain, views = self._views(name)
        for view in views.values():
            room = int(view.findtext("vcpu", "1"))
            if count > room:
                raise LimitExceeded(
                    f"'{name}' has room for {room} vCPUs, not for {count}",
                    hint="Stop it and raise <vcpu> in its definition.",
                )
        for flag in views:
            with native(f"give {count} vCPUs to '{name}'"):
                domain.setVcpusFlags(count, flag)

    def set_memory(self, name: str, size: int) -> None:
        """By the balloon up to what it was defined with, beyond by memory modules, in steps of
        128 MiB, when its definition has slots for them (``<maxMemory>``).

        The balloon is only asked for: ``metrics`` show what the guest gave. Raises InvalidInput.
        """
        if size < MIB:
            raise InvalidInput(
                f"'{name}' cannot run with {size} bytes of memory",
                hint="At least 1 MiB; sizes are in bytes.",
            )
        domain, views = self._views(name)
        for view in views.values():
            room = max(translate.size(view.find("memory")), translate.size(view.find("maxMemory")))
            if size > room:
                raise LimitExceeded(
                    f"'{name}' has room for {room} bytes of memory, not for {size}",
                    hint="Stop it and raise <memory> in its definition.",
                )
        for flag, view in views.items():
            with native(f"give {size} bytes of memory to '{name}'"):
                missing = size - translate.size(view.find("memory"))
                if missing > 0:
                    domain.attachDeviceFlags(document(_module(missing)), flag)
                domain.setMemoryFlags(size // KIB, flag)

    def insert_media(self, name: str, image: str, drive: str | None = None) -> str:
        """In place of the medium that is in it. Raises InvalidInput, NotFound for drive or image,
        InvalidState when the guest has locked the drive."""
        if not image.startswith("/"):
            raise InvalidInput(
                f"the path of an image must be absolute, not '{image}'",
                hint="It is one of the host: /srv/iso/tools.iso",
            )
        if not image.startswith("/dev/"):
            self._folders.check_file(image)  # a stopped domain would take anything
        return self._change_media(name, image, drive)

    def eject_media(self, name: str, drive: str | None = None) -> None:
        """Ejecting twice is no error. Raises NotFound, InvalidState when the guest locked it."""
        self._change_media(name, "", drive)

    def _change_media(self, name: str, image: str, drive: str | None) -> str:
        domain, views = self._views(name)
        for flag, view in views.items():
            found = _first(_drives(view, drive))
            if found is None:
                raise NotFound(
                    f"'{name}' has no CD drive{f' {drive!r}' if drive else ''}",
                    hint="A drive can only be added while it is stopped.",
                )
            drive = translate.target_of(found)
            try:
                domain.updateDeviceFlags(document(_with_medium(found, image)), flag)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_OPERATION_FAILED:
                    raise translated(error, f"change the medium of '{name}'") from error
                raise InvalidState(
                    f"cannot change the medium in '{drive}' of '{name}': {complaint(error)}",
                    hint="Have the guest unmount and unlock it.",
                ) from error
        return drive or ""

    def _detach(self, name: str, what: str, find: Callable[[Element], Element | None]) -> None:
        """From the running machine first: when its guest does not let go, nothing has changed."""
        domain, views = self._views(name)
        found = {flag: find(view) for flag, view in views.items()}
        if all(device is None for device in found.values()):
            raise NotFound(f"'{name}' has no {what}", hint="See its devices: virsh dumpxml")
        for flag, device in found.items():
            if device is not None:
                with native(f"detach {what} from '{name}'"):
                    deadline = time.monotonic() + self._detach_seconds
                    asked = time.monotonic()
                    domain.detachDeviceFlags(document(device), flag)
                    while flag == _LIVE and find(translate.parsed(domain.XMLDesc())) is not None:
                        if time.monotonic() > deadline:
                            raise OperationTimeout(
                                f"the guest of '{name}' does not let go of {what}",
                                hint="It may do so later: it was asked. A guest without a running "
                                "system never does; stop it first.",
                            )
                        if time.monotonic() > asked + _ASK_SECONDS:
                            asked = time.monotonic()
                            with contextlib.suppress(libvirt.libvirtError):  # still asked, or gone
                                domain.detachDeviceFlags(document(device), flag)
                        token_in_force().wait(WAIT_SLICE)

    def _views(self, name: str) -> tuple[libvirt.virDomain, Views]:
        """The running machine first."""
        domain = self._connection.domain(name)
        views = {}
        with native(f"look at '{name}'"):
            if domain.isActive():
                views[_LIVE] = translate.parsed(domain.XMLDesc())
            if domain.isPersistent():
                inactive = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
                views[_CONFIG] = translate.parsed(domain.XMLDesc(inactive))
        return domain, views


def _flags(views: Views) -> int:
    return sum(views)


def _first(elements: Iterator[Element]) -> Element | None:
    return next(elements, None)


def _nic(view: Element, mac: str) -> Element | None:
    for nic in view.iterfind("devices/interface"):
        address = nic.find("mac")
        if address is not None and address.get("address", "").lower() == mac:
            return nic
    return None


def _new_mac() -> str:
    """From the range that QEMU and libvirt use."""
    return ":".join(["52:54:00", *(f"{byte:02x}" for byte in secrets.token_bytes(3))])


def _drives(view: Element, drive: str | None) -> Iterator[Element]:
    for disk in view.iterfind("devices/disk[@device='cdrom']"):
        if drive in {None, translate.target_of(disk)}:
            yield disk


def _with_medium(drive: Element, image: str) -> Element:
    changed = copy.deepcopy(drive)
    for tag in ("source", "backingStore"):
        for old in changed.findall(tag):
            changed.remove(old)
    device = image.startswith("/dev/")
    changed.set("type", "block" if device else "file")
    if image:
        changed.append(element("source", **{"dev" if device else "file": image}))
    return changed


def _module(missing: int) -> Element:
    blocks = -(-missing // _MEMORY_BLOCK)
    size = element("size", unit="KiB", text=str(blocks * _MEMORY_BLOCK // KIB))
    return element("memory", element("target", size, element("node", text="0")), model="dimm")


def _provide_scsi(domain: libvirt.virDomain, views: Views) -> None:
    """The controller that libvirt would choose by itself is an old one that nobody has drivers
    for."""
    for flag, view in views.items():
        if view.find("devices/controller[@type='scsi']") is None:
            wanted = element("controller", type="scsi", index="0", model="virtio-scsi")
            domain.attachDeviceFlags(document(wanted), flag)


class _TakenMeanwhileError(AlreadyExists):
    """By another thread or program, since we looked."""


@contextlib.contextmanager
def _plugging(doing: str) -> Iterator[None]:
    """libvirt and QEMU have no error codes of their own for what a machine lacks."""
    try:
        yield
    except libvirt.libvirtError as error:
        words = complaint(error)
        if words.endswith("already exists"):
            raise _TakenMeanwhileError(
                f"cannot {doing}: {words}", hint="Choose another name, or leave it out."
            ) from error
        if "No more available PCI" in words:
            raise LimitExceeded(
                f"cannot {doing}: the machine has no free socket ({words})",
                hint="Stop it and attach it then, or add <controller type='pci' "
                "model='pcie-root-port'/> to its definition.",
            ) from error
        if "hotplug" in words:
            raise InvalidState(
                f"cannot {doing} while it runs: {words}", hint="Stop it first, or use bus virtio."
            ) from error
        raise translated(error, doing) from error
