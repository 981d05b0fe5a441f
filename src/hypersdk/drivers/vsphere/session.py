"""Being logged in: as few sessions as possible, renewed when they end, always ended by us.

vCenter has a limit of sessions for all of its clients ("out of HTTP sessions"), and ends one that
was idle for half an hour. So a connection has one session for all of its threads, asks for the time
now and then while it is open, and logs out when it is closed, forgotten, or the process ends.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import traceback
import weakref
from typing import Any

from pyVmomi import SoapAdapter, SoapStubAdapter, VmomiSupport, vim

from hypersdk.drivers.vsphere.address import Address
from hypersdk.drivers.vsphere.errors import NATIVE, UnreadableAnswer, translated
from hypersdk.drivers.vsphere.trust import ANSWER_SECONDS, Trust, settle
from hypersdk.model.errors import HypervisorError, HypervisorUnreachable

_log = logging.getLogger(__name__)

#: Seconds between two signs of life; vCenter waits 1800, the shortest that can be set is 600.
ALIVE_SECONDS = 240.0
#: Seconds that a farewell may take: it is said at the end of programs too.
_FAREWELL_SECONDS = 5.0
#: Connections that are kept; each thread at work needs one.
_CONNECTIONS = 32
#: Seconds after which an idle connection is not used again: the server may have closed it.
_IDLE_SECONDS = 20
#: Known to every release since 5.5; how a server is asked what it is.
_FIRST_VERSION = "vim.version.version9"
#: Where pyVmomi makes objects of an answer.
_READING = SoapAdapter.SoapResponseDeserializer.Deserialize.__code__


class Session:
    """One login and its stub. May be used by any number of threads."""

    def __init__(self, address: Address) -> None:
        """Raises HypervisorUnreachable, HypervisorDenied, HypervisorError for a certificate that is
        not trusted, InvalidInput when there is no password."""
        self.address = address
        self._password = address.password()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        #: Counts logins, so that of many threads that lost the session one logs in again.
        self.generation = 0
        self._process = os.getpid()
        self.stub: Any = None
        try:
            self.trust: Trust = settle(address)
            self.stub = _stub(address, self.trust)
            self.content: Any = _service(self.stub).RetrieveContent()
            self.stub.ComputeVersionInfo(_version(self.content.about.apiVersion))
            self._login()
        except BaseException as error:
            if self.stub is not None:
                self.stub.DropConnections()
            if isinstance(error, NATIVE):
                doing = f"log in to {address.place} as {address.user}"
                raise translated(error, doing) from error
            raise
        threading.Thread(
            target=_stay, args=(weakref.ref(self), self._closed), name="vsphere-alive", daemon=True
        ).start()

    def renew(self, generation: int) -> None:
        """Log in again, unless another thread has done it since ``generation`` was read."""
        with self._lock:
            if self._closed.is_set():
                raise closed(self.address)
            if self.generation == generation:
                _log.info("the session at %s ended; logging in again", self.address.place)
                self.stub.SetSessionId(None)
                try:
                    self._login()
                except NATIVE as error:
                    place, user = self.address.place, self.address.user
                    raise translated(error, f"log in again to {place} as {user}") from error

    @property
    def cookie(self) -> str:
        """``vmware_soap_session="…"``: for HTTP beside SOAP. A secret."""
        return str(self.stub.cookie).partition(";")[0]

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def authorization(self) -> tuple[str, str]:
        """User and password, for services that want a login of their own."""
        return self.address.user, self._password

    def close(self) -> None:
        """Log out; may be called several times. A server that is gone is left to forget us."""
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
        # Connections that other threads still use are closed when they come back.
        self.stub.poolSize = 0
        self.stub.DropConnections()
        if os.getpid() != self._process:
            return  # the session is our parent's, who forked us
        self.stub.schemeArgs["timeout"] = _FAREWELL_SECONDS
        try:
            self.content.sessionManager.Logout()
        except NATIVE as error:
            _log.debug("no farewell from %s: %s", self.address.place, type(error).__name__)

    def _login(self) -> None:
        manager = self.content.sessionManager
        #: Names the session where privileges are asked for. A secret like the cookie.
        self.key = str(manager.Login(self.address.user, self._password, None).key)
        self.generation += 1


def closed(address: Address) -> HypervisorError:
    return HypervisorUnreachable(
        f"the connection to {address.place} was closed", hint="Connect again."
    )


class _Stub(SoapStubAdapter):  # type: ignore[misc]  # pyVmomi has no types
    """Tells answers that pyVmomi cannot read from mistakes of our own: both are KeyErrors there."""

    def InvokeMethod(self, mo: Any, info: Any, args: Any, outerStub: Any = None) -> Any:  # noqa: N802, N803 - pyVmomi's names
        try:
            return super().InvokeMethod(mo, info, args, outerStub)
        except NATIVE:
            raise
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            frames = traceback.walk_tb(error.__traceback__)
            if not any(frame.f_code is _READING for frame, _ in frames):
                raise
            raise UnreadableAnswer(
                f"the answer to {info.wsdlName} cannot be read: {type(error).__name__} {error}"
            ) from error


def _stub(address: Address, trust: Trust) -> Any:
    stub = _Stub(
        host=address.host,
        port=address.port,
        version=_FIRST_VERSION,
        poolSize=_CONNECTIONS,
        connectionPoolTimeout=_IDLE_SECONDS,
        httpConnectionTimeout=ANSWER_SECONDS,
        sslContext=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # never used: see below
    )
    # What makes its connections: ours check every single one.
    stub.scheme = trust.connection
    return stub


def _service(stub: Any) -> Any:
    return vim.ServiceInstance("ServiceInstance", stub)


def _version(api: str) -> str:
    """The newest version of the API that both sides know."""
    known = {
        _number(name.partition("/")[2]): version
        for name, version in VmomiSupport.versionMap.items()
        if name.startswith("vim25/") and name[6:7].isdigit()
    }
    fitting = [number for number in known if number <= _number(api)]
    return known[max(fitting)] if fitting else _FIRST_VERSION


def _number(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".") if part.isdigit()]
    return (*numbers, *(0,) * (4 - len(numbers)))


def _stay(session: weakref.ref[Session], ended: threading.Event) -> None:
    """Ask for the time until the session is closed or forgotten. A lost session is renewed by
    whoever needs it next."""
    while not ended.wait(ALIVE_SECONDS):
        living = session()
        if living is None:
            return
        try:
            _service(living.stub).CurrentTime()
        except NATIVE as error:
            _log.debug("%s does not answer: %s", living.address.place, type(error).__name__)
        del living
