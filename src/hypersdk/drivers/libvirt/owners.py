"""Which user QEMU runs as: its socket and scratch files are created by it."""

from __future__ import annotations

import os
import pwd
import re
from xml.etree.ElementTree import Element

from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.translate import parsed
from hypersdk.model.errors import HypervisorError

#: libvirt writes ids with a plus in front (``+64055:+64055``), and names without.
_LABEL = re.compile(r"(\+?)([^:]+):(\+?)([^:]+)")


def qemu_owner(connection: Connection, xml: Element) -> tuple[int, int] | None:
    """User and group of a domain's QEMU; None when it is our own user.

    Raises HypervisorError when we cannot share files with it.
    """
    label = xml.findtext("seclabel[@model='dac']/label") or _usual(connection, xml)
    owner = _parsed(label) if label else None
    if owner is None or owner[0] == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise HypervisorError(
            f"QEMU runs as {_user(owner[0])} and this program as {_user(os.geteuid())}: "
            "they cannot share the backup's socket",
            hint="Run it as root, or use the domains of your own session: qemu:///session",
        )
    return owner


def _usual(connection: Connection, xml: Element) -> str | None:
    """What libvirt gives to domains that ask for nothing of their own."""
    with native("ask for the capabilities of the host"):
        host = parsed(connection.native.getCapabilities())
    for model in host.iterfind("host/secmodel"):
        if model.findtext("model") == "dac":
            return model.findtext(f"baselabel[@type='{xml.get('type', 'kvm')}']")
    return None


def _parsed(label: str) -> tuple[int, int] | None:
    match = _LABEL.fullmatch(label)
    if match is None:
        return None
    if match[2].isdigit() and match[4].isdigit():
        return int(match[2]), int(match[4])
    try:
        user = pwd.getpwnam(match[2])
    except KeyError:
        return None
    return user.pw_uid, user.pw_gid


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
