"""Rules about devices that are no disks, and about firmware."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hypersdk.flows.preflight.rule import Rule
from hypersdk.flows.preflight.subject import Subject
from hypersdk.model.concerns import Severity


def _of_kind(kind: str, said: str) -> Callable[[Subject], Iterator[str]]:
    """A check for devices of one kind."""

    def check(subject: Subject) -> Iterator[str]:
        for device in subject.details.devices:
            if device.kind == kind:
                detail = f" ({device.detail})" if device.detail else ""
                yield f"{device.name}{detail} of {subject.name} {said}"

    return check


def _sriov(subject: Subject) -> Iterator[str]:
    yield from _of_kind("sriov", "is a function of a card of its host (SR-IOV)")(subject)
    for nic in subject.details.nics:
        if nic.model.lower() == "sriov":
            yield f"network card {nic.name} of {subject.name} is of a card of its host (SR-IOV)"


def _media(subject: Subject) -> Iterator[str]:
    for device in subject.details.devices:
        if device.kind in {"cdrom", "floppy"} and device.detail:
            yield f"{device.name} of {subject.name} holds {device.detail}, which is not exported"


def _uefi(subject: Subject) -> Iterator[str]:
    if subject.details.firmware.lower() in {"uefi", "efi"}:
        yield f"{subject.name} boots with UEFI, whose variables (NVRAM) name what it boots"


def _secure_boot(subject: Subject) -> Iterator[str]:
    if subject.details.secure_boot is True:
        yield f"{subject.name} boots with secure boot"


def _disconnected(subject: Subject) -> Iterator[str]:
    for nic in subject.details.nics:
        if nic.connected is False and subject.running:
            yield f"network card {nic.name} of {subject.name} is not connected"


RULES = (
    Rule(
        id="device.passthrough",
        title="Passed-through device of the host",
        severity=Severity.CRITICAL,
        check=_of_kind("passthrough", "is a device of its host; it stays there"),
        fix="Remove the device, or configure its like on the target; a running instance with one "
        "cannot be snapshotted, so stop it first (--power-off).",
    ),
    Rule(
        id="device.vgpu",
        title="Virtual GPU",
        severity=Severity.WARNING,
        check=_of_kind("vgpu", "is a share of a GPU of its host; it stays there"),
        fix="Configure a GPU on the target, or remove its driver in the guest.",
    ),
    Rule(
        id="device.sriov",
        title="SR-IOV network card",
        severity=Severity.WARNING,
        check=_sriov,
        fix="It becomes an ordinary network card; configure SR-IOV on the target if it is needed.",
    ),
    Rule(
        id="device.usb",
        title="USB device or controller",
        severity=Severity.WARNING,
        check=_of_kind("usb", "is not exported"),
        fix="Attach the USB device on the target by hand.",
    ),
    Rule(
        id="device.tpm",
        title="Virtual TPM",
        severity=Severity.WARNING,
        check=_of_kind("tpm", "holds keys that never leave its hypervisor"),
        fix="Note the recovery keys (BitLocker, LUKS) before the move: the guest asks for them at "
        "its first start with a new TPM.",
    ),
    Rule(
        id="device.media",
        title="Inserted medium",
        severity=Severity.INFO,
        check=_media,
        fix="Copy the medium yourself if the guest needs it.",
    ),
    Rule(
        id="device.serial",
        title="Serial port",
        severity=Severity.INFO,
        check=_of_kind("serial", "leads to something of its host"),
        fix="Connect the port on the target by hand if the guest needs it.",
    ),
    Rule(
        id="nic.disconnected",
        title="Network card that is not connected",
        severity=Severity.INFO,
        check=_disconnected,
        fix="Look whether it is meant to be connected on the target.",
    ),
    Rule(
        id="firmware.nvram",
        title="UEFI variables",
        severity=Severity.INFO,
        check=_uefi,
        fix="Where the export has no NVRAM file, the target finds the boot loader by its standard "
        "path (EFI/BOOT), or choose it in its firmware once.",
    ),
    Rule(
        id="firmware.secure-boot",
        title="Secure boot",
        severity=Severity.WARNING,
        check=_secure_boot,
        fix="The target needs firmware with the same keys enrolled, or secure boot switched off.",
    ),
)
