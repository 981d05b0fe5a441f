"""One connection to libvirt that comes back after it was lost.

libvirt wants one event loop per process. Ours is a daemon thread that is started with the first
connection; it also answers keep-alive messages, so that a host which is gone, or a libvirtd that
stands still, is noticed within 25 seconds instead of never: `KEEPALIVE_COUNT` messages without an
answer, and one more `KEEPALIVE_SECONDS`. libvirt sends none while it connects, and has no limit of
its own for that: `CONNECT_SECONDS`.
"""

from __future__ import annotations

import contextlib
import functools
import threading

import libvirt

from hypersdk.drivers.libvirt.errors import native, translated
from hypersdk.model.errors import HypervisorDenied, HypervisorUnreachable, InstanceNotFound

KEEPALIVE_SECONDS, KEEPALIVE_COUNT = 5, 4
CONNECT_SECONDS = 25.0


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


class _Opening(threading.Thread):
    """`libvirt.open`, which waits for an answer without end."""

    def __init__(self, uri: str) -> None:
        super().__init__(name="libvirt-open", daemon=True)
        self._uri = uri
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._left = False
        self._opened: libvirt.virConnect | None = None
        self._error: libvirt.libvirtError | None = None

    def run(self) -> None:
        try:
            opened = libvirt.open(self._uri)
        except libvirt.libvirtError as error:
            self._error = error
        else:
            with self._lock:
                if self._left:
                    opened.close()
                else:
                    self._opened = opened
        self._done.set()

    def result(self, seconds: float) -> libvirt.virConnect:
        """Raises libvirtError, HypervisorUnreachable; what comes later is closed again."""
        self.start()
        self._done.wait(seconds)
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._opened is None:
                self._left = True
                raise HypervisorUnreachable(
                    f"{self._uri} does not answer within {seconds:g} s",
                    hint=f"See what this says: virsh -c {self._uri} list",
                )
            return self._opened


class Connection:
    """May be used by any number of threads."""

    def __init__(self, uri: str) -> None:
        """Raises HypervisorUnreachable, HypervisorDenied."""
        self.uri = uri
        self._lock = threading.Lock()
        self._closed = False
        self._native = self._opened()

    def _opened(self) -> libvirt.virConnect:
        _event_loop()
        try:
            connection = _Opening(self.uri).result(CONNECT_SECONDS)
        except libvirt.libvirtError as error:
            problem = translated(error, f"connect to {self.uri}")
            if isinstance(problem, HypervisorDenied):
                raise problem from error
            raise HypervisorUnreachable(
                problem.message, hint=f"See what this says: virsh -c {self.uri} list"
            ) from error
        with contextlib.suppress(libvirt.libvirtError):  # test:/// has nothing to keep alive
            connection.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
        return connection

    @property
    def native(self) -> libvirt.virConnect:
        """The living connection; a lost one is opened anew. Raises HypervisorUnreachable."""
        # Whoever holds the lock may be waiting for a host that does not answer.
        if not self._lock.acquire(timeout=CONNECT_SECONDS):
            raise HypervisorUnreachable(
                f"{self.uri} does not answer within {CONNECT_SECONDS:g} s",
                hint=f"See what this says: virsh -c {self.uri} list",
            )
        try:
            if self._closed:
                raise HypervisorUnreachable(
                    f"the connection to {self.uri} was closed", hint="Connect anew."
                )
            if not self._native.isAlive():
                self._native = self._opened()
            return self._native
        finally:
            self._lock.release()

    def domain(self, name: str) -> libvirt.virDomain:
        """The domain of this name or UUID. Raises InstanceNotFound."""
        connection = self.native
        if "\0" in name:  # ends a text for libvirt
            raise InstanceNotFound(f"there is no {name!r} on {self.uri}", hint="No name has that.")
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
