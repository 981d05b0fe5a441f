"""Rules about what runs inside, as far as its agent tells."""

from __future__ import annotations

from collections.abc import Iterator

from hypersdk.flows.preflight.rule import Rule
from hypersdk.flows.preflight.subject import Subject
from hypersdk.model.concerns import Severity
from hypersdk.model.details import FilesystemDetails
from hypersdk.model.units import MIB, format_size

#: Names that installers leave behind.
_DEFAULT_HOSTNAMES = {"localhost", "localhost.localdomain", "ubuntu", "debian", "photon-machine"}
#: Bytes that a conversion needs free, as virt-v2v asks for; elsewhere `_OTHER_FREE`.
_FREE = {"/": 100 * MIB, "/boot": 50 * MIB, "c:": 100 * MIB}
_OTHER_FREE = 10 * MIB
#: Filesystems that are read-only, or none that a conversion writes to.
_LEFT_ALONE = ("/boot/efi", "/snap/", "/run/", "/proc/", "/sys/", "/dev/", "/media/", "/mnt/")
#: vSphere's ids of systems that virt-v2v does not convert, by their beginnings.
_UNSUPPORTED = {
    "darwin": "macOS",
    "solaris": "Solaris",
    "netware": "NetWare",
    "os2": "OS/2",
    "dos": "DOS",
    "unixware": "UnixWare",
    "openserver": "OpenServer",
    "eComStation": "eComStation",
    "photon": "Photon OS",
    "vmkernel": "ESXi",
    "freebsd": "FreeBSD",
    "winNT": "Windows NT",
    "win95": "Windows 95",
    "win98": "Windows 98",
    "winMe": "Windows Me",
    "win2000": "Windows 2000",
}


def _converts(subject: Subject) -> bool:
    return subject.destination is not None and subject.destination.converts


def _full(subject: Subject) -> Iterator[str]:
    if _converts(subject):
        yield from _too_full(subject)


def _full_for_later(subject: Subject) -> Iterator[str]:
    if not _converts(subject):
        yield from _too_full(subject)


def _too_full(subject: Subject) -> Iterator[str]:
    for each in subject.details.guest.filesystems:
        wanted = _wanted(each)
        if each.free < wanted:
            yield (
                f"{each.path} of {subject.name} has {format_size(each.free)} free; a conversion "
                f"needs {format_size(wanted)} there"
            )


def _wanted(filesystem: FilesystemDetails) -> int:
    """Bytes that must be free. A filesystem that can never have them is no place for changes."""
    path = filesystem.path.lower().rstrip("\\/") or "/"
    if path.startswith(_LEFT_ALONE) or filesystem.size <= _OTHER_FREE:
        return 0
    return _FREE.get(path, _OTHER_FREE)


def _unmapped(subject: Subject) -> Iterator[str]:
    guest = subject.details.guest
    if guest.agent is True and subject.running and not guest.filesystems:
        yield f"the guest of {subject.name} does not tell which filesystems are on its disks"


def _no_agent(subject: Subject) -> Iterator[str]:
    if subject.details.guest.agent is False and subject.running:
        yield (
            f"no agent answers in {subject.name}: its filesystems are not frozen, the export is "
            "as after a power cut"
        )


def _nameless(subject: Subject) -> Iterator[str]:
    guest = subject.details.guest
    if guest.hostname.lower() in _DEFAULT_HOSTNAMES:
        yield f"the guest of {subject.name} calls itself {guest.hostname}"
    elif guest.agent is True and subject.running and not guest.hostname:
        yield f"the guest of {subject.name} has no host name"


def _no_address(subject: Subject) -> Iterator[str]:
    details = subject.details
    if details.guest.agent is not True or not subject.running or details.guest.addresses:
        return
    for nic in details.nics:
        if nic.connected is not False and not nic.addresses:
            yield f"the guest of {subject.name} reports no address on {nic.name}"


def _unsupported(subject: Subject) -> Iterator[str]:
    guest = subject.details.guest
    for beginning, system in _UNSUPPORTED.items():
        if guest.os_id.lower().startswith(beginning.lower()):
            yield f"{subject.name} runs {guest.os or system}, which no converter adapts to KVM"


RULES = (
    Rule(
        id="guest.free-space",
        title="Guest filesystem too full for a conversion",
        severity=Severity.CRITICAL,
        check=_full,
        fix="Free space in the guest first: a conversion that runs out of room ends half done.",
    ),
    Rule(
        id="guest.free-space-later",
        title="Guest filesystem too full for a later conversion",
        severity=Severity.WARNING,
        check=_full_for_later,
        fix="Free space in the guest, if it is to be converted for another hypervisor.",
    ),
    Rule(
        id="guest.disk-mapping",
        title="Filesystems not known",
        severity=Severity.INFO,
        check=_unmapped,
        fix="Update VMware Tools or the guest agent, if you want to see what is on which disk.",
    ),
    Rule(
        id="guest.agent-missing",
        title="No agent in the guest",
        severity=Severity.WARNING,
        check=_no_agent,
        fix="Install open-vm-tools or qemu-guest-agent, or stop the instance first (--power-off).",
    ),
    Rule(
        id="guest.hostname",
        title="Empty or default host name",
        severity=Severity.WARNING,
        check=_nameless,
        fix="Give the guest a name of its own before it moves beside others.",
    ),
    Rule(
        id="guest.addresses-missing",
        title="No IP addresses reported",
        severity=Severity.WARNING,
        check=_no_address,
        fix="Start the network in the guest; addresses that are not known cannot be kept.",
    ),
    Rule(
        id="guest.os-unsupported",
        title="Operating system that is not converted",
        severity=Severity.WARNING,
        check=_unsupported,
        fix="Its disks are exported as they are; drivers for the target are up to you.",
    ),
)
