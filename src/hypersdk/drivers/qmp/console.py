"""See and touch what a person in front of the machine would: screen, keyboard, serial line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypersdk.drivers.qmp.errors import native
from hypersdk.drivers.qmp.keys import key_names
from hypersdk.drivers.qmp.monitor import Session
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.serial import QmpSerialStream
from hypersdk.drivers.qmp.state import InstanceFolder, Root
from hypersdk.model.errors import InvalidState
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import Display

#: Milliseconds that keys are held down; long enough for firmware that looks now and then.
_HOLD_MILLISECONDS = 100
_SERIAL = re.compile(r"unix:(.*/serial-(\d+)),server")
#: Numbers of serial sockets, which then begin anew.
_SERIALS = 1000


class QmpConsole:
    """May be used by any number of threads."""

    def __init__(self, root: Root, power: Power) -> None:
        self._root = root
        self._power = power

    def display(self, name: str) -> Display:
        """A VNC server on a unix socket that only our user may open."""
        with self._live(name) as (folder, _):
            return Display("vnc", "", 0, str(folder.run / "vnc"))

    def serial(self, name: str) -> QmpSerialStream:
        """What the guest said while nobody was there is lost."""
        with self._live(name) as (folder, session):
            found = {
                entry["label"]: entry["filename"] for entry in session.execute("query-chardev")
            }
            match = _SERIAL.search(found["serial"])
            number = int(match[2]) + 1 if match else 0
            # A new socket: whoever was connected to the old one loses it.
            path = folder.run / f"serial-{number % _SERIALS}"
            address = {"type": "unix", "data": {"path": str(path)}}
            backend = {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}
            session.execute("chardev-change", id="serial", backend=backend)
            if match:
                Path(match[1]).unlink(missing_ok=True)
            return QmpSerialStream(name, str(path))

    def screenshot(self, name: str) -> bytes:
        """See the port."""
        with self._live(name) as (folder, session):
            file = folder.run / f"screen-{os.urandom(4).hex()}"
            try:
                session.execute("screendump", filename=str(file), format="png")
                return file.read_bytes()
            finally:
                file.unlink(missing_ok=True)

    def send_keys(self, name: str, keys: Sequence[str]) -> None:
        """See the port."""
        pressed = [{"type": "qcode", "data": key} for key in key_names(keys)]
        with self._live(name) as (_, session):
            session.execute("send-key", keys=pressed, hold_time=_HOLD_MILLISECONDS)

    @contextmanager
    def _live(self, name: str) -> Iterator[tuple[InstanceFolder, Session]]:
        folder = self._root.find(name)
        title = folder.definition().name
        if self._power.state(folder, title) is InstanceState.STOPPED or not folder.run.exists():
            raise InvalidState(f"'{title}' is stopped", hint="Start it first.")
        with (
            native(f"use the console of '{title}'"),
            self._power.session(folder, title) as session,
        ):
            yield folder, session
