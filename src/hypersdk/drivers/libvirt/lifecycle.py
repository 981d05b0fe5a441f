"""Make, run, stop and delete domains."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath

import libvirt

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.cgroups import usual_shares, why_untuned
from hypersdk.drivers.libvirt.cloudinit import seed_image
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.definition import MACHINES, Platform, checked, domain_xml, targets
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.folders import Folders
from hypersdk.drivers.libvirt.host import maximum_vcpus
from hypersdk.drivers.libvirt.images import DEFAULT_POOL, Images
from hypersdk.drivers.libvirt.inventory import described
from hypersdk.drivers.libvirt.locks import alone
from hypersdk.drivers.libvirt.marks import marks
from hypersdk.drivers.libvirt.snapshotxml import chain_files, memory_files
from hypersdk.drivers.libvirt.usage import Usage, remove_images
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotSupported,
    OperationTimeout,
)
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.specs import InstanceSpec

#: Seconds until the power button is pressed again: a guest that is still booting misses it.
_PRESS_SECONDS = 10.0
#: How long another's start may take until we take it for one that was paused.
_START_SECONDS = 20.0
#: QEMU ended before libvirt spoke with it, and libvirt has not looked why; the second time it may.
_DIED_TOO_SOON = "failed to connect to monitor socket"
_WEIGHT, _LIMIT = "lifecycle.cpu_weight", "lifecycle.cpu_limit"
#: What a spec has for containers, as the aspects are called.
_LIMITED = ("env", "mounts", "ports", "pids_limit")
_OF_CONTAINERS = "machines have none; containers do"
_STOPPED = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_NOSTATE)
#: What goes with a domain, besides its disks. Drivers know some of it, or nothing.
_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM,
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA,
    0,
)


class LibvirtLifecycle:
    """May be used by any number of threads."""

    def __init__(self, connection: Connection, folders: Folders) -> None:
        self._connection = connection
        self._folders = folders
        self.limits = _limits(connection)

    def create(self, spec: InstanceSpec) -> Instance:
        """Disks are made by libvirt, on its host. With cloud-init settings an image with them,
        ``<name>-seed.iso``, is put beside the first disk; it goes when the instance goes.

        Without ``acceleration`` it is KVM where libvirt offers it. There are hosts (machines
        within machines) that offer it and cannot boot a kernel with it: ask for ``tcg`` there.
        """
        checked(spec)
        with alone(self._connection.uri, f"name {spec.name}"):
            return self._create(spec)

    def _create(self, spec: InstanceSpec) -> Instance:
        connection = self._connection.native
        self._refuse_limited(spec)
        platform = replace(
            _platform(connection, spec), usual_shares=usual_shares(self._connection.uri)
        )
        self._check_surroundings(spec)
        identity = str(uuid.uuid4())
        with Images(self._connection, self._folders) as images:
            disks = [
                images.place(disk, spec.name, target)
                for disk, target in zip(spec.disks, targets(spec.disks), strict=True)
            ]
            seed = ""
            if spec.cloud_init is not None:
                files = [disk.path for disk in disks if not disk.device]
                folder = (
                    str(PurePosixPath(files[0]).parent) if files else images.folder_of(DEFAULT_POOL)
                )
                content = seed_image(spec.cloud_init, spec.name, identity)
                seed = images.upload(folder, f"{spec.name}-seed.iso", content)
            xml = domain_xml(spec, platform, identity, disks, seed=seed)
            with native(f"define '{spec.name}'"):
                return described(connection.defineXML(xml))

    def start(self, name: str, *, paused: bool = False) -> None:
        """A paused one runs on; one whose running state was saved goes on from there."""
        with self._domain(name, "start") as domain:
            number = domain.state()[0]
            if number in _STOPPED:
                self._refuse_template(domain, name)
                _run(domain, paused=paused)
            elif number == libvirt.VIR_DOMAIN_CRASHED:
                domain.destroy()
                _run(domain, paused=paused)
            elif not paused:
                _resume(domain, number)

    def stop(self, name: str, *, force: bool = False, timeout: float = 60.0) -> None:
        """Asks the guest agent, else presses the power button, every ten seconds. A crashed guest
        is switched off: it cannot be asked.

        Raises InvalidState for a paused instance unless forced, OperationTimeout, Interrupted.
        """
        with self._domain(name, "stop") as domain:
            number = _state(domain)
            if number in _STOPPED:
                return
            if force or number == libvirt.VIR_DOMAIN_CRASHED:
                _destroy(domain)
                return
            if translate.state(number) is InstanceState.PAUSED:
                raise InvalidState(
                    f"'{name}' is paused and cannot power down",
                    hint="Resume it first, or stop it with force.",
                )
            self._power_down(domain, name, timeout)

    def pause(self, name: str) -> None:
        with self._domain(name, "pause") as domain:
            number = _require_running(domain, name)
            if translate.state(number) is InstanceState.RUNNING:
                domain.suspend()

    def resume(self, name: str) -> None:
        with self._domain(name, "resume") as domain:
            _resume(domain, _require_running(domain, name))

    def reset(self, name: str) -> None:
        """A crashed instance runs again; a paused one stays paused."""
        with self._domain(name, "reset") as domain:
            number = domain.state()[0]
            if number in _STOPPED:
                raise InvalidState(f"'{name}' is stopped", hint="Start it.")
            domain.reset()
            if number == libvirt.VIR_DOMAIN_CRASHED:
                domain.resume()

    def delete(self, name: str, *, disks: bool = False) -> None:
        """With its UEFI variables, its saved state, and its snapshots and checkpoints.
        ``disks``: and its image files and volumes, also those below overlays of snapshots. Block
        devices, CDs, backing images and whatever another domain or image needs stay.

        Raises InvalidState while it runs; HypervisorError naming disks that could not be removed.
        """
        with self._domain(name, "delete") as domain:
            if _state(domain) not in _STOPPED or domain.isActive():
                state = translate.state(domain.state()[0]).value
                raise InvalidState(f"'{name}' is {state}", hint="Stop it first.")
            xml = translate.parsed(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
            identity = domain.UUIDString()
            wanted = [element for element in translate.disks(xml) if disks]
            files = [marks(xml).seed, *memory_files(domain)]
            usage = Usage.of(self._connection, self._folders, without=identity) if disks else None
            if usage is not None:
                own = {translate.source_path(disk) for disk in wanted}
                chain = chain_files(domain) - own
                files += [path for path in chain if not usage.of_image(path, own | chain)]
            _undefine(domain)
        remove_images(self._connection, self._folders, name, wanted, [*filter(None, files)], usage)

    def _refuse_limited(self, spec: InstanceSpec) -> None:
        known = {limit.aspect: limit.note for limit in self.limits}
        for aspect, asked in ((_WEIGHT, spec.cpu_weight), (_LIMIT, spec.cpu_limit)):
            if asked and aspect in known:
                raise NotSupported(
                    f"'{spec.name}' asks for {aspect.partition('.')[2]}: {known[aspect]}",
                    hint="Leave it at 0.",
                )

    def _check_surroundings(self, spec: InstanceSpec) -> None:
        """What defining would not notice, or not call by its name."""
        try:
            self._connection.domain(spec.name)
        except InstanceNotFound:
            pass
        else:
            raise AlreadyExists(
                f"'{spec.name}' exists on {self._connection.uri}", hint="Choose another name."
            )
        for nic in spec.nics:
            if nic.network:
                with native(f"connect a NIC of '{spec.name}' to '{nic.network}'"):
                    self._connection.native.networkLookupByName(nic.network)
        for path in (spec.cdrom, spec.kernel, spec.initrd):
            if path and not path.startswith("/"):
                raise InvalidInput(f"{path!r} is no absolute path", hint="It is one of the host.")
            if path and not path.startswith("/dev/"):
                self._folders.check_file(path)

    def _power_down(self, domain: libvirt.virDomain, name: str, timeout: float) -> None:
        flags = 0
        if self._connection.native.getType() == "QEMU":
            flags = libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT
            flags |= libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN
        begun = time.monotonic()
        press = begun
        while _state(domain) not in _STOPPED:
            token_in_force().check()
            now = time.monotonic()
            if now - begun >= timeout:
                raise OperationTimeout(
                    f"'{name}' still runs {timeout:g} s after it was asked to power down",
                    hint="Wait longer, or stop it with force.",
                )
            if now >= press:
                _shutdown(domain, flags)
                press = now + _PRESS_SECONDS
            time.sleep(min(WAIT_SLICE, max(0.0, begun + timeout - now)))

    def _refuse_template(self, domain: libvirt.virDomain, name: str) -> None:
        if marks(translate.parsed(domain.XMLDesc())).template:
            raise InvalidState(
                f"'{name}' is a template",
                hint="Clone it and start the clone, or make it an instance again.",
            )

    @contextmanager
    def _domain(self, name: str, verb: str) -> Iterator[libvirt.virDomain]:
        domain = self._connection.domain(name)
        with native(f"{verb} '{name}'"):
            yield domain


def _limits(connection: Connection) -> tuple[Limit, ...]:
    with native("see what the host can limit"):
        found = why_untuned(connection.native, connection.uri)
    untuned = [Limit(aspect, found) for aspect in (_WEIGHT, _LIMIT) if found]
    fields = [Limit(f"lifecycle.{name}", _OF_CONTAINERS) for name in _LIMITED]
    return (*untuned, *fields)


def _platform(connection: libvirt.virConnect, spec: InstanceSpec) -> Platform:
    kind = connection.getType()
    if kind == "TEST":
        return Platform("test", "i686")
    if kind != "QEMU":
        raise NotSupported(
            f"instances cannot be made through libvirt's driver for {kind}",
            hint="Make it with the tools of that hypervisor; everything else works here.",
        )
    with native("ask what the host can run"):
        xml = translate.parsed(connection.getDomainCapabilities())
    arch = xml.findtext("arch", "x86_64")
    machine = MACHINES.get(arch, "")
    platform = Platform("qemu", arch, machine)
    if spec.acceleration != "tcg":
        try:
            connection.getDomainCapabilities(None, arch, machine or None, "kvm")
            platform = replace(platform, type="kvm")
        except libvirt.libvirtError as error:
            if spec.acceleration == "kvm":
                raise NotSupported(
                    f"'{spec.name}' asks for KVM, which {connection.getHostname()} does not have",
                    hint="acceleration='tcg' runs it without, much slower.",
                ) from error
    most = maximum_vcpus(connection, platform)
    if most is not None and max(spec.vcpus, spec.vcpus_maximum) > most:
        raise InvalidInput(
            f"'{spec.name}' asks for more than the {most} processors that a machine can have",
            hint=f"vcpus={most}",
        )
    return platform


def _state(domain: libvirt.virDomain) -> int:
    """A domain without a definition is gone with its last process, which counts as stopped."""
    try:
        return int(domain.state()[0])
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return int(libvirt.VIR_DOMAIN_SHUTOFF)


def _run(domain: libvirt.virDomain, *, paused: bool) -> None:
    """Start it; that somebody else was quicker is no error."""
    flags = libvirt.VIR_DOMAIN_START_PAUSED if paused else 0
    try:
        try:
            domain.createWithFlags(flags)
        except libvirt.libvirtError as error:
            if _DIED_TOO_SOON not in str(error):
                raise
            domain.createWithFlags(flags)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
            raise
        deadline = time.monotonic() + _START_SECONDS
        while domain.state()[0] != libvirt.VIR_DOMAIN_RUNNING:
            # Until its processors run it counts as paused, and as inactive if it fails.
            if paused or not domain.isActive() or time.monotonic() > deadline:
                raise
            token_in_force().wait(WAIT_SLICE)


def _destroy(domain: libvirt.virDomain) -> None:
    try:
        domain.destroy()
    except libvirt.libvirtError:
        if _state(domain) not in _STOPPED:
            raise


def _shutdown(domain: libvirt.virDomain, flags: int) -> None:
    """Press the button; a guest that ended just then needs no more pressing.

    An agent that obeys may be gone before it has answered ("End of file from agent socket"), while
    its guest is still on the way down: the error says nothing, and waiting tells.
    """
    try:
        domain.shutdownFlags(flags)
    except libvirt.libvirtError as error:
        gone = flags and "agent" in (error.get_error_message() or "")
        if not gone and _state(domain) not in _STOPPED:
            raise


def _resume(domain: libvirt.virDomain, number: int) -> None:
    if number == libvirt.VIR_DOMAIN_PMSUSPENDED:
        domain.pMWakeup()
    elif number == libvirt.VIR_DOMAIN_PAUSED:
        try:
            domain.resume()
        except libvirt.libvirtError:
            # It counts as paused also while somebody else is just starting it.
            if domain.state()[0] != libvirt.VIR_DOMAIN_RUNNING:
                raise


def _require_running(domain: libvirt.virDomain, name: str) -> int:
    number = int(domain.state()[0])
    if number in _STOPPED:
        raise InvalidState(f"'{name}' is stopped", hint="Start it first.")
    if number == libvirt.VIR_DOMAIN_CRASHED:
        raise InvalidState(f"'{name}' is crashed", hint="Reset or stop it.")
    return number


def _undefine(domain: libvirt.virDomain) -> None:
    for flags in _UNDEFINE:
        try:
            domain.undefineFlags(flags) if flags else domain.undefine()
        except libvirt.libvirtError as error:
            known = {libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_NO_SUPPORT}
            if not flags or error.get_error_code() not in known:
                raise
        else:
            return
