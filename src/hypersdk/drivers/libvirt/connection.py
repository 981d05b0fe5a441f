"""One connection to libvirt that comes back after it was lost.

libvirt wants one event loop per process. Ours is a daemon thread that is started with the first
connection; it also answers keep-alive messages, so that a host which is gone is noticed within
`KEEPALIVE_SECONDS` * `KEEPALIVE_COUNT` seconds instead of never.
"""

from __future__ import annotations

import contextlib
import functools
import threading

import libvirt

from hypersdk.drivers.libvirt.errors import native, translated
from hypersdk.model.errors import HypervisorUnreachable

KEEPALIVE_SECONDS, KEEPALIVE_COUNT = 5, 6


@functools.cache
def _event_loop() -> threading.Thread:
    """Start it, once. Errors are raised to callers, so libvirt need not print them as well."""
    libvirt.registerErrorHandler(_quiet, None)
    libvirt.virEventRegisterDefaultImpl()
    # Without a timer the loop would sleep over what other threads register.
    libvirt.virEventAddTimeout(1000, _tick, None)
    thread = threading.Thread(target=_serve, name="libvirt-events", daemon=True)
    thread.start()
    return thread


def _quiet(context: object, error: object) -> None:
    """What libvirt would print on stderr."""


def _tick(timer: int, opaque: object) -> None:
    """Only its coming matters."""


def _serve() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


class Connection:
    """May be used by any number of threads."""

    def __init__(self, uri: str) -> None:
        """Raises HypervisorUnreachable, HypervisorError."""
        self.uri = uri
        self._lock = threading.Lock()
        self._closed = False
        self._native = self._opened()

    def _opened(self) -> libvirt.virConnect:
        _event_loop()
        try:
            connection = libvirt.open(self.uri)
        except libvirt.libvirtError as error:
            raise HypervisorUnreachable(
                translated(error, f"connect to {self.uri}").message,
                hint=f"See what this says: virsh -c {self.uri} list",
            ) from error
        with contextlib.suppress(libvirt.libvirtError):  # test:/// has nothing to keep alive
            connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
        return connection

    @property
    def native(self) -> libvirt.virConnect:
        """The living connection; a lost one is opened anew. Raises HypervisorUnreachable."""
        with self._lock:
            if self._closed:
                raise HypervisorUnreachable(f"the connection to {self.uri} was closed")
            if not self._native.isAlive():
                self._native = self._opened()
            return self._native

    def domain(self, name: str) -> libvirt.virDomain:
        """The domain of this name or UUID. Raises InstanceNotFound."""
        connection = self.native
        try:
            return connection.lookupByName(name)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                with contextlib.suppress(libvirt.libvirtError):  # the first error says it better
                    return connection.lookupByUUIDString(name)
            raise translated(error, f"find '{name}' on {self.uri}") from error

    def close(self) -> None:
        """May be called several times."""
        with self._lock:
            if not self._closed:
                self._closed = True
                with native(f"close the connection to {self.uri}"):
                    self._native.close()
