"""See and touch what a person in front of the machine would: screen, keyboard, serial line."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import libvirt

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import native
from hypersdk.drivers.libvirt.keys import key_codes
from hypersdk.drivers.libvirt.pictures import as_png
from hypersdk.drivers.libvirt.serial import LibvirtSerialStream
from hypersdk.model.errors import HypervisorError, InvalidState, NotFound
from hypersdk.model.machines import Display

#: Milliseconds that keys are held down; long enough for firmware that looks now and then.
_HOLD_MILLISECONDS = 100
_STREAM_READ = 256 * 1024
#: Addresses that mean all of a host's.
_ANYWHERE = {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound


class LibvirtConsole:
    """The ``console`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def display(self, name: str) -> Display:
        _, xml = self._running(name)
        for graphics in xml.iterfind("devices/graphics"):
            if graphics.get("type") in {"vnc", "spice"}:
                return _display(graphics, urlsplit(self._connection.uri).hostname or "127.0.0.1")
        raise NotFound(
            f"'{name}' has no VNC or SPICE display",
            hint="Add <graphics type='vnc'/> to its definition.",
        )

    def serial(self, name: str) -> LibvirtSerialStream:
        domain, xml = self._running(name)
        line = xml.find("devices/serial")
        if line is None:
            line = xml.find("devices/console")
        if line is None:
            raise NotFound(
                f"'{name}' has no serial line",
                hint="Add <serial type='pty'/> to the devices of its definition.",
            )
        if line.get("type") != "pty":
            raise HypervisorError(
                f"the serial line of '{name}' leads to a {line.get('type')}, not to libvirt",
                hint="libvirt hands on only lines of <serial type='pty'/>.",
            )
        return LibvirtSerialStream(name, domain)

    def screenshot(self, name: str) -> bytes:
        """Raises NotFound for an instance without a screen, besides what the port says."""
        domain, xml = self._running(name)
        model = xml.find("devices/video/model")
        if domain.connect().getType() == "QEMU" and (model is None or model.get("type") == "none"):
            raise NotFound(f"'{name}' has no screen", hint="Its serial line may say what it does.")
        with native(f"take a screenshot of '{name}'"):
            stream = domain.connect().newStream()
            try:
                domain.screenshot(stream, 0)
                picture = b"".join(iter(lambda: stream.recv(_STREAM_READ), b""))
            except BaseException:
                stream.abort()
                raise
            stream.finish()
        return as_png(picture)

    def send_keys(self, name: str, keys: Sequence[str]) -> None:
        codes = key_codes(keys)
        domain = self._connection.domain(name)
        with native(f"press keys of '{name}'"):
            domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, _HOLD_MILLISECONDS, codes, len(codes), 0)

    def _running(self, name: str) -> tuple[libvirt.virDomain, Element]:
        """The domain and its live XML. Raises InvalidState."""
        domain = self._connection.domain(name)
        with native(f"look at '{name}'"):
            if not domain.isActive():
                raise InvalidState(f"'{name}' is stopped", hint="Start it first.")
            return domain, translate.parsed(domain.XMLDesc())


def _display(graphics: Element, host: str) -> Display:
    """``host``: where libvirt is; for a display that listens everywhere."""
    kind, listen = graphics.get("type", ""), graphics.find("listen")
    where = {} if listen is None else listen.attrib
    socket = where.get("socket") or graphics.get("socket") or ""
    if socket:
        return Display(kind, "", 0, socket)
    address = where.get("address") or graphics.get("listen") or ""
    # A SPICE display may be there for TLS alone.
    port = max(int(graphics.get(attribute, "0")) for attribute in ("port", "tlsPort"))
    return Display(kind, host if address in _ANYWHERE else address, port)
