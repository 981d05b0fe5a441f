"""Whether shares and limits of processor time can be had, and in which measure.

libvirt hands both on to control groups and says little about them: whether a running domain has
one, and nothing while none runs. Of hosts that are not this one we assume cgroups v2, which all
distributions have by default since 2021.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import libvirt

from hypersdk.drivers.libvirt.definition import V1_SHARES, V2_SHARES

_ROOT = Path("/sys/fs/cgroup")


def usual_shares(uri: str, root: Path = _ROOT) -> int:
    """What everybody's share of processor time is called on the host: 1024 with cgroups v1."""
    return V1_SHARES if _is_here(uri) and not (root / "cgroup.controllers").exists() else V2_SHARES


def why_untuned(connection: libvirt.virConnect, uri: str, root: Path = _ROOT) -> str:
    """Why processor time cannot be shared out; empty when it can, as far as one can know."""
    if connection.getType() != "QEMU":
        return ""
    if urlsplit(uri).path == "/session":
        return "libvirt of a user that is not root makes no control groups"
    if _is_here(uri) and not _has_cpu_controller(root):
        return "the host has no control groups for processors"
    for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        try:
            domain.schedulerParameters()
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
                raise
            if domain.isActive():  # otherwise it says that it has stopped meanwhile
                return "this libvirt keeps no control groups for processors (qemu.conf)"
        else:
            return ""
    return ""


def _is_here(uri: str) -> bool:
    return not urlsplit(uri).hostname


def _has_cpu_controller(root: Path) -> bool:
    try:
        return "cpu" in (root / "cgroup.controllers").read_text().split()
    except FileNotFoundError:
        return any(root.glob("cpu*/cpu.shares"))
