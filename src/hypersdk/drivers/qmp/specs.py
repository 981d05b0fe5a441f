"""What an `InstanceSpec` becomes here, and what of it cannot be honoured."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hypersdk.drivers.qmp.commandline import VCPUS_MAX, nic_models
from hypersdk.drivers.qmp.definition import DiskRecord, MachineRecord, NicRecord
from hypersdk.drivers.qmp.emulator import installed
from hypersdk.drivers.specs import checked, refuse
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import InvalidInput, LimitExceeded, NotFound, NotSupported
from hypersdk.model.specs import InstanceSpec, NicSpec

#: Of containers only.
_FOREIGN = ("image", "command")
_MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
_PROCESS = "QEMU is an ordinary process here; no cgroup is made for it"
_CONTAINER = "a machine has no such thing; containers do"
#: Field of a spec → why it cannot be honoured.
_LACKING = {
    "cpu_weight": _PROCESS,
    "cpu_limit": _PROCESS,
    "cloud_init": "no seed image is made; one can be given as cdrom",
    "env": _CONTAINER,
    "mounts": _CONTAINER,
    "ports": _CONTAINER,
    "pids_limit": _CONTAINER,
}
LIMITS = tuple(Limit(f"lifecycle.{field}", why) for field, why in _LACKING.items())


def new_nic(spec: NicSpec, *, isolated: bool = False) -> NicRecord:
    """Raises InvalidInput for what there is no network for."""
    if spec.network or spec.bridge:
        raise InvalidInput(
            f"a NIC asks for {spec.network or spec.bridge!r}; there are no networks here",
            hint="Leave network and bridge empty: it is then in user-mode networking.",
        )
    if spec.model not in nic_models():
        raise InvalidInput(
            f"there is no NIC model '{spec.model}'",
            hint=f"One of {', '.join(sorted(nic_models()))}.",
        )
    mac = (spec.mac or new_mac()).lower()
    if _MAC.fullmatch(mac) is None or int(mac[:2], 16) & 1:
        raise InvalidInput(
            f"'{spec.mac}' is not the MAC address of a NIC", hint="52:54:00:12:34:56 is one."
        )
    return NicRecord(mac=mac, model=spec.model, isolated=isolated)


def new_mac() -> str:
    """In QEMU's own range, ``52:54:00``."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def check(spec: InstanceSpec) -> None:
    """What can be known to be wrong before anything is made."""
    checked(spec)
    refuse(spec, _FOREIGN, "which a machine does not have")
    refuse(spec, ("firmware",), "and this driver boots with a BIOS only")
    for field, why in _LACKING.items():
        if getattr(spec, field):
            raise NotSupported(f"'{spec.name}' asks for {field}: {why}", hint="Leave it out.")
    if max(spec.vcpus, spec.vcpus_maximum) > VCPUS_MAX:
        raise LimitExceeded(
            f"'{spec.name}' asks for more processors than a machine can have",
            hint=f"At most {VCPUS_MAX}.",
        )
    _check_files(spec)
    _check_nics(spec)
    if spec.acceleration not in {"", "kvm", "tcg"}:
        raise InvalidInput(
            f"there is no acceleration '{spec.acceleration}'", hint="kvm, tcg, or empty."
        )


def _check_files(spec: InstanceSpec) -> None:
    if (spec.initrd or spec.kernel_arguments) and not spec.kernel:
        raise InvalidInput(
            f"'{spec.name}' has an initrd or kernel arguments, but no kernel", hint="Name one."
        )
    for file in (spec.kernel, spec.initrd, spec.cdrom):
        if file and not Path(file).is_file():
            raise NotFound(
                f"'{spec.name}' needs {file}, which is not there", hint="Name a file of this host."
            )
        if file and not os.path.isabs(file):
            raise InvalidInput(
                f"the path {file!r} of '{spec.name}' is not absolute", hint="Begin it with a slash."
            )


def _check_nics(spec: InstanceSpec) -> None:
    macs = [nic.mac.lower() for nic in spec.nics if nic.mac]
    if len(macs) != len(set(macs)):
        raise InvalidInput(
            f"two NICs of '{spec.name}' have the same MAC address", hint="Leave them out."
        )
    for nic in spec.nics:
        new_nic(nic)


def machine_of(spec: InstanceSpec, identity: str, disks: tuple[DiskRecord, ...]) -> MachineRecord:
    virtio = [number for number, disk in enumerate(disks) if disk.bus == "virtio"]
    placed = tuple(
        replace(disk, port=virtio.index(number)) if number in virtio else disk
        for number, disk in enumerate(disks)
    )
    return MachineRecord(
        id=identity,
        name=spec.name,
        vcpus=spec.vcpus,
        vcpus_maximum=spec.vcpus_maximum or spec.vcpus,
        memory=spec.memory,
        memory_maximum=spec.memory_maximum or spec.memory,
        machine=installed().machine,
        disks=placed,
        nics=tuple(
            replace(new_nic(nic), port=port) for port, nic in enumerate(spec.nics, len(virtio))
        ),
        cdrom=spec.cdrom or None,
        acceleration=spec.acceleration,
        kernel=spec.kernel,
        initrd=spec.initrd,
        kernel_arguments=spec.kernel_arguments,
        tags=_plain(spec.tags),
        folder=spec.folder,
    )


def _plain(tags: Mapping[str, str]) -> dict[str, str]:
    return {str(name): str(value) for name, value in tags.items()}


def moved(machine: MachineRecord, old: Path, new: Path) -> MachineRecord:
    """With disks where they are once the folder has its name."""
    disks = tuple(
        replace(disk, path=str(new / Path(disk.path).name))
        if Path(disk.path).parent == old
        else disk
        for disk in machine.disks
    )
    return replace(machine, disks=disks)
