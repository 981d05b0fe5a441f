"""A machine's screen and keyboard.

vSphere shows screens by a protocol of its own behind a ticket that is good for one connection
(`VsphereConsole.ticket`, for a WebMKS client); there is no VNC or SPICE to name. Pictures are
taken and keys pressed by the API.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from pyVmomi import vim

from hypersdk.drivers.vsphere import datastorefiles, translate
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.keys import pressed
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import HypervisorError, InvalidState, NotSupported
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Display

_LIMITS = (
    Limit("console.display", "screens are shown by WebMKS behind a ticket, not by VNC or SPICE"),
    Limit("console.serial", "serial lines lead into files or to network services, not to us"),
)
_PNG = b"\x89PNG\r\n\x1a\n"
#: Bytes of a picture at most; the largest screen of a machine is 8K.
_PICTURE_MAX = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenTicket:
    """For one connection of a WebMKS client, within 30 minutes."""

    host: str
    port: int
    #: Whoever has it sees the screen and may type.
    ticket: str = field(repr=False)
    #: Of the host's certificate, as vSphere tells it (SHA-1).
    thumbprint: str = ""

    @property
    def url(self) -> str:
        """Where a WebMKS client connects. Secret, as the ticket is in it."""
        return f"wss://{self.host}:{self.port}/ticket/{self.ticket}"


class VsphereConsole:
    """The ``console`` part. A simulator has none: there is nobody in front of its machines."""

    limits = _LIMITS

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ticket(self, name: str) -> ScreenTicket:
        """Raises InvalidState when it is stopped."""
        machine = self._running(name)
        found = self._connection.call(
            lambda: machine.AcquireTicket("webmks"), f"get a ticket for the screen of '{name}'"
        )
        return ScreenTicket(
            host=str(found.host or self._connection.address.host),
            port=int(found.port or self._connection.address.port),
            ticket=str(found.ticket),
            thumbprint=str(found.sslThumbprint or ""),
        )

    def display(self, name: str) -> Display:
        """Always NotSupported: see `ticket`."""
        self._connection.vm(name)
        self._lacking("console.display", "Use ticket() with a WebMKS client.")

    def serial(self, name: str) -> NoReturn:
        """Always NotSupported."""
        self._connection.vm(name)
        self._lacking("console.serial", "See where the line leads: details(name).devices.")

    def screenshot(self, name: str) -> bytes:
        """vSphere writes it beside the machine's files; it is fetched and removed again."""
        machine = self._running(name)
        path = self._connection.task(
            machine.CreateScreenshot_Task, f"take a picture of the screen of '{name}'", seconds=25
        )
        try:
            picture = datastorefiles.read(self._connection, machine, str(path), _PICTURE_MAX)
        finally:
            datastorefiles.delete(self._connection, machine, str(path))
        if not picture.startswith(_PNG):
            raise HypervisorError(
                f"the picture of the screen of '{name}' is no PNG", hint="Try again."
            )
        return picture

    def send_keys(self, name: str, keys: Sequence[str]) -> None:
        """As a USB keyboard does; modifiers are held while the others are pressed."""
        modifiers, codes = pressed(keys)
        machine = self._running(name)
        self._connection.call(
            lambda: machine.PutUsbScanCodes(_events(modifiers, codes)), f"press keys of '{name}'"
        )

    def _running(self, name: str) -> Any:
        machine = self._connection.vm(name)
        row = self._connection.get(machine, "runtime.powerState")
        if translate.state(row["runtime.powerState"]) is not InstanceState.RUNNING:
            raise InvalidState(f"'{name}' does not run", hint="Start it first.")
        return machine

    def _lacking(self, aspect: str, hint: str) -> NoReturn:
        note = next(limit.note for limit in _LIMITS if limit.aspect == aspect)
        raise NotSupported(note, hint=hint)


def _events(modifiers: Sequence[str], codes: Sequence[int]) -> Any:
    """Modifiers alone are pressed as a key without a code."""
    spec = vim.vm.UsbScanCodeSpec
    held = spec.ModifierType(**dict.fromkeys(modifiers, True))
    events = [spec.KeyEvent(usbHidCode=code, modifiers=held) for code in codes or (0,)]
    return spec(keyEvents=events)
