"""UEFI variables for a domain that never ran: libvirt makes them from a template only when it is
started first, and takes what is there."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree.ElementTree import tostring

import libvirt

from hypersdk.drivers.libvirt import adjusting, translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import native

_SECURE = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE


def take_variables(connection: Connection, name: str, content: bytes) -> str:
    """Put them beside the first disk of the domain, and define it with them. Why that cannot be;
    empty: it is done. They go with the domain.

    Raises InstanceNotFound, HypervisorError.
    """
    if host := urlsplit(connection.uri).hostname:
        return f"the files of '{name}' are on {host}"
    domain = connection.domain(name)
    with native(f"give '{name}' its UEFI variables"):
        xml = translate.parsed(domain.XMLDesc(_SECURE))
        paths = [translate.source_path(disk) for disk in translate.disks(xml)]
        files = [Path(path) for path in paths if path.startswith("/")]
        if not files or files[0].is_relative_to("/dev"):
            return "it has no disk in a folder, beside which they could be"
        place = files[0].parent / f"{name}_VARS.fd".replace("/", "_")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with open(os.open(place, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return f"{place} cannot be written: {error.strerror}"
        try:
            adjusting.set_boot_file(xml, "nvram", str(place))
            connection.native.defineXML(tostring(xml, encoding="unicode"))
        except BaseException:
            place.unlink(missing_ok=True)
            raise
    return ""
