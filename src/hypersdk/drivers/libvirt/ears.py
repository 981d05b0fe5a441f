"""What libvirt says about domains, handed on to all who want to know.

libvirt allows one registration for each kind of event and connection, so there is one `Ears` for
each of our connections, and it is shared. libvirt calls from its event loop, where nothing may
wait: listeners only take a note.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import libvirt

from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.errors import native

#: Stands for ``virDomainEventType`` where somebody changed a domain's ``<metadata>``.
METADATA = -1


@dataclass(frozen=True, slots=True)
class Note:
    """What the callback was told. ``type`` and ``detail`` are libvirt's numbers."""

    id: str
    name: str
    #: ``virDomainEventType``, or `METADATA`.
    type: int
    detail: int
    time: datetime


#: Called in libvirt's event loop.
Listener = Callable[[Note], None]


class _Registration:
    """With one connection, which may be lost."""

    def __init__(self, connection: libvirt.virConnect) -> None:
        self.connection = connection
        self.listeners: tuple[Listener, ...] = ()
        kinds = (
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._heard),
            (libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, self._heard_of_metadata),
        )
        self._numbers: list[int] = []
        try:
            for kind, callback in kinds:
                self._numbers.append(connection.domainEventRegisterAny(None, kind, callback, None))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for number in self._numbers:
            with suppress(libvirt.libvirtError):  # a lost connection has forgotten us
                self.connection.domainEventDeregisterAny(number)

    # The callbacks have libvirt's signatures.

    def _heard(
        self, _: object, domain: libvirt.virDomain, type: int, detail: int, *__: object
    ) -> None:
        self._tell(domain, type, detail)

    def _heard_of_metadata(self, _: object, domain: libvirt.virDomain, *__: object) -> None:
        self._tell(domain, METADATA, 0)

    def _tell(self, domain: libvirt.virDomain, type: int, detail: int) -> None:
        note = Note(domain.UUIDString(), domain.name(), type, detail, datetime.now(UTC))
        for listener in self.listeners:
            listener(note)


class Ears:
    """Any number of listeners may come and go."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._registration: _Registration | None = None

    def listen(self, listener: Listener) -> libvirt.virConnect:
        """The connection that is heard from now on; when it is lost, so are the listeners.

        Listening again to the same one changes nothing.
        """
        with self._lock, native(f"follow the events of {self._connection.uri}"):
            connection = self._connection.native
            known = self._registration
            if known is None or known.connection is not connection:
                known = self._registration = _Registration(connection)
            if listener not in known.listeners:
                known.listeners += (listener,)
            return connection

    def leave(self, listener: Listener) -> None:
        """We stay registered: libvirt drops a registration only after its event loop has looked,
        and one that is made before that takes it for still there and is told nothing."""
        with self._lock:
            if self._registration is not None:
                left = self._registration.listeners
                self._registration.listeners = tuple(each for each in left if each != listener)

    def close(self) -> None:
        """Before the connection is closed, which our registration would keep open."""
        with self._lock:
            if self._registration is not None:
                self._registration.close()
                self._registration = None
