"""A configuration of hyper2kvm, and a systemd unit that runs it. Nothing is written anywhere.

YAML is written by its library; what goes into the unit is escaped by systemd's own rules
(systemd.syntax(7), systemd.unit(5)): no value can become another line, word, or specifier.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from hypersdk.api.names import nearest
from hypersdk.contract.known.generating import ConfigAnswer, ConfigAsked, ConfigTemplate
from hypersdk.model.errors import InvalidInput

#: Of an output that is not named.
_MEMORY, _VCPUS = 2048, 2
#: Seconds that a conversion may take, and that a started test guest has.
_CONVERT_SECONDS, _TEST_SECONDS = 3600, 60
_UNIT_FOLDER = "/etc/systemd/system"
#: What may stand in the name of a file or unit as it is.
_ODD = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Flavor:
    """A guest system."""

    name: str
    os: str
    description: str
    virtio: bool = False
    uefi: bool = False


FLAVORS: Mapping[str, Flavor] = {
    "windows-10": Flavor("Windows 10", "windows", "Windows 10 with VirtIO drivers", virtio=True),
    "windows-11": Flavor(
        "Windows 11", "windows", "Windows 11 with VirtIO drivers and UEFI", virtio=True, uefi=True
    ),
    "ubuntu-22": Flavor("Ubuntu 22.04 LTS", "linux", "Ubuntu 22.04 with systemd and netplan"),
    "ubuntu-24": Flavor("Ubuntu 24.04 LTS", "linux", "Ubuntu 24.04 with systemd and netplan"),
    "rhel-10": Flavor("RHEL 10", "linux", "Red Hat Enterprise Linux 10 with dracut"),
    "rhel-9": Flavor("RHEL 9", "linux", "Red Hat Enterprise Linux 9 with dracut"),
    "photon-os": Flavor("Photon OS", "linux", "VMware Photon OS"),
    "debian-12": Flavor("Debian 12", "linux", "Debian 12 (Bookworm)"),
    "rocky-9": Flavor("Rocky Linux 9", "linux", "Rocky Linux 9, compatible with RHEL 9"),
    "alma-9": Flavor("AlmaLinux 9", "linux", "AlmaLinux 9, compatible with RHEL 9"),
}


def templates() -> list[ConfigTemplate]:
    return [
        ConfigTemplate(
            id=id,
            name=each.name,
            os_type=each.os,
            description=each.description,
            requires_virtio=each.virtio or None,
            requires_uefi=each.uefi or None,
        )
        for id, each in FLAVORS.items()
    ]


def generate(asked: ConfigAsked) -> ConfigAnswer:
    """Raises InvalidInput."""
    _check(asked)
    name = _plain(asked.vm_name) or f"{asked.os_type}-{_plain(asked.os_flavor)}"
    path = f"{asked.output_dir.rstrip('/')}/hyper2kvm-{name}.yaml"
    text = yaml.safe_dump(_settings(asked, name), sort_keys=False, allow_unicode=True)
    return ConfigAnswer(
        config_yaml=_header(asked, path) + text,
        config_path=path,
        service_file=_unit(asked, path) if asked.generate_service else None,
        service_path=f"{_UNIT_FOLDER}/hyper2kvm-{name}.service" if asked.generate_service else None,
    )


def _check(asked: ConfigAsked) -> None:
    for field in ("vmdk_path", "output_dir"):
        if not getattr(asked, field).startswith("/"):
            raise InvalidInput(f"{field}: it is no absolute path", hint="Write it from the root.")
    flavor = FLAVORS.get(asked.os_flavor)
    if flavor is not None and flavor.os != asked.os_type:
        raise InvalidInput(
            f"os_type: {asked.os_flavor} is {flavor.os}, not {asked.os_type}",
            hint=f"Say os_type {flavor.os}.",
        )
    if flavor is None and (meant := nearest(asked.os_flavor, sorted(FLAVORS))):
        raise InvalidInput(
            f"os_flavor: '{asked.os_flavor}' is not known",
            hint=f"Did you mean {meant}? There are {', '.join(FLAVORS)}.",
        )


def _settings(asked: ConfigAsked, name: str) -> dict[str, Any]:
    windows = asked.os_type == "windows"
    folder = asked.output_dir.rstrip("/")
    found: dict[str, Any] = {
        "cmd": "local",
        "vmdk": asked.vmdk_path,
        "output_dir": asked.output_dir,
        "to_output": f"{name}-fixed.qcow2",
        "out_format": "qcow2",
        "compress": asked.compress,
        "checksum": True,
        "print_fstab": not windows,
        "fstab_mode": "stabilize-all",
        "no_grub": windows,
        "regen_initramfs": not windows,
        "no_backup": False,
        "dry_run": False,
        "verbose": 2,
        "log_file": f"{folder}/hyper2kvm.log",
        "report": f"{folder}/hyper2kvm-report.md",
    }
    if asked.flatten:
        found |= {"flatten": True, "flatten_format": "qcow2"}
    if windows and asked.virtio_drivers:
        found["virtio_drivers_dir"] = asked.virtio_drivers
    if asked.libvirt_test:
        found |= {
            "libvirt_test": True,
            "vm_name": asked.vm_name or name,
            "memory": asked.memory or _MEMORY,
            "vcpus": asked.vcpus or _VCPUS,
            "uefi": asked.uefi,
            "timeout": _TEST_SECONDS,
            "keep_domain": False,
            "headless": True,
        }
    return found


def _header(asked: ConfigAsked, path: str) -> str:
    """Comments; no value holds a line break (`contract.known.generating.LINE`)."""
    flavor = FLAVORS.get(asked.os_flavor)
    name = flavor.name if flavor else asked.os_flavor
    machine = f", machine {asked.vm_name}" if asked.vm_name else ""
    return (
        f"# hyper2kvm: {name} ({asked.os_type}){machine}\n"
        f"# Run it: hyper2kvm --config {shell_word(path)}\n\n"
    )


def _unit(asked: ConfigAsked, path: str) -> str:
    subject = asked.vm_name or asked.os_flavor
    return (
        "[Unit]\n"
        f"Description=hyper2kvm conversion of {specifiers(subject)}\n"
        "After=network.target\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        f"ExecStart=hyper2kvm --config {argument(path)}\n"
        f"WorkingDirectory={specifiers(asked.output_dir)}\n"
        "RemainAfterExit=yes\n"
        f"TimeoutStartSec={_CONVERT_SECONDS}\n"
        "MemoryMax=4G\n"
        "PrivateTmp=yes\n"
        "NoNewPrivileges=yes\n"
        "ProtectSystem=strict\n"
        "ProtectHome=yes\n"
        f"ReadWritePaths={quoted(asked.output_dir)}\n"
        "\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def specifiers(value: str) -> str:
    """A whole value: ``%`` would be a specifier, and a last backslash goes on in the next line."""
    return value.replace("%", "%%").rstrip("\\")


def quoted(value: str) -> str:
    """One word of a list of words."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def argument(value: str) -> str:
    """One argument of a command line, where ``$`` begins a variable besides."""
    return quoted(value).replace("$", "$$")


def shell_word(value: str) -> str:
    """One word of a shell."""
    return "'" + value.replace("'", "'\\''") + "'"


def _plain(name: str) -> str:
    """As part of a file's name."""
    return _ODD.sub("-", name.lower()).strip("-.")
