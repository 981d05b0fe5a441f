"""Whether the other end is who we think: TLS that is verified or pinned, never off.

In this order:

1. A fingerprint in the URL: the certificate must be that one, whoever signed it.
2. The system's certificate authorities.
3. The fingerprint that was remembered for the host and port in
   ``~/.config/hypersdk/vsphere-hosts``.
4. With ``GOVC_INSECURE=1``: what is seen first is shown in the log, remembered, and any other
   certificate refused from then on.
5. Refused, with the fingerprint and what to type if it is the right one.

pyVmomi can pin too, but checks only a connection's first handshake: it turns verification off in
the context that all later connections share. Here every single connection is checked before a byte
is sent through it.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypersdk.drivers.vsphere.address import Address, fingerprint
from hypersdk.model.errors import HypervisorUntrusted, InvalidInput

_log = logging.getLogger(__name__)

#: Seconds in which each step of a conversation is answered.
ANSWER_SECONDS = 30.0
#: Digest by the length of a thumbprint in hexadecimal: vSphere's own are SHA-1.
_DIGESTS: dict[int, Callable[[bytes], str]] = {
    40: lambda der: hashlib.sha1(der, usedforsecurity=False).hexdigest(),
    64: lambda der: hashlib.sha256(der).hexdigest(),
    128: lambda der: hashlib.sha512(der).hexdigest(),
}


class WrongCertificate(HypervisorUntrusted):
    """The other end shows a certificate that is not the pinned one, or that nobody vouches for."""


class Connection(http.client.HTTPSConnection):
    """One that is checked against a pin, when there is one, before it is used."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        pin: str = "",
        timeout: float = ANSWER_SECONDS,
        context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(host, port, timeout=timeout, context=context or _context(pin))
        self._pin = pin

    def connect(self) -> None:
        """Raises WrongCertificate, ssl.SSLError, OSError."""
        try:
            super().connect()
        except BaseException:
            self.close()  # of a handshake that failed the socket is left
            raise
        der = self.peer()
        if self._pin and _DIGESTS[len(self._pin)](der) != self._pin:
            self.close()
            seen = shown(der)
            raise WrongCertificate(
                f"{self.host}:{self.port} shows another certificate than the pinned one: {seen}",
                hint="Someone may be in between. If its certificate was renewed, compare the "
                "fingerprint with that on the server's own screen; then put it into the URL "
                f"(fingerprint={seen}), or remove the host's line from {known_file()}",
            )

    def peer(self) -> bytes:
        """The other end's certificate in DER."""
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock.getpeercert(binary_form=True) or b""


@dataclass(frozen=True, slots=True)
class Trust:
    """How one host is to be recognized. An empty pin: by the system's authorities."""

    pin: str = ""

    def connection(
        self, host: str, port: int, timeout: float = ANSWER_SECONDS, **_: object
    ) -> Connection:
        """Not connected yet. pyVmomi calls it too, with a context that is not needed."""
        return Connection(host.strip("[]"), port, pin=self.pin, timeout=timeout)


def settle(address: Address) -> Trust:
    """Look at the endpoint and decide how it is recognized from now on.

    Raises WrongCertificate, OSError when it cannot be reached.
    """
    if address.fingerprint:
        return Trust(_plain(address.fingerprint))
    try:
        _handshake(Trust(), address.host, address.port)
    except ssl.SSLCertVerificationError as error:
        return _unverified(address, error)
    return Trust()


def settle_other(host: str, port: int, thumbprint: str) -> Trust:
    """For a host that vCenter sends us to. ``thumbprint``: what vCenter says of its certificate;
    used where no authority vouches for the host. Raises WrongCertificate, OSError."""
    try:
        _handshake(Trust(), host, port)
    except ssl.SSLCertVerificationError as error:
        pin = thumbprint.replace(":", "").lower() or _plain(remembered(host, port))
        if len(pin) not in _DIGESTS:
            raise _refusal(host, port, error, "") from error
        return Trust(pin)
    return Trust()


def shown(der: bytes) -> str:
    """A certificate's fingerprint as people compare it."""
    return fingerprint(hashlib.sha256(der).hexdigest())


def known_file() -> Path:
    """Where fingerprints are remembered; a line each: ``host:port AB:CD:…``."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "hypersdk" / "vsphere-hosts"


def remembered(host: str, port: int) -> str:
    """Its fingerprint; empty when it was never seen. Raises InvalidInput for a damaged line."""
    try:
        text = known_file().read_text()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise InvalidInput(f"cannot read {known_file()}: {error.strerror}") from error
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == f"{host}:{port}":
            return fingerprint(value)
    return ""


def remember(host: str, port: int, value: str) -> None:
    """Add it. Whoever was first is believed, also when two processes are at it at once."""
    file = known_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write(f"{host}:{port} {value}\n")


def _unverified(address: Address, error: ssl.SSLCertVerificationError) -> Trust:
    if known := remembered(address.host, address.port):
        return Trust(_plain(known))
    seen = shown(_look(address.host, address.port))
    if not address.first_use:
        raise _refusal(address.host, address.port, error, address.with_fingerprint(seen)) from error
    remember(address.host, address.port, seen)
    _log.warning(
        "%s is trusted from now on by the certificate seen first, SHA-256 %s (%s)",
        address.place,
        seen,
        _reason(error),
    )
    return Trust(_plain(seen))


def _refusal(
    host: str, port: int, error: ssl.SSLCertVerificationError, url: str
) -> WrongCertificate:
    der = _look(host, port)
    seen = shown(der)
    reason = _reason(error)
    if "expired" not in reason and _expired(host, port, der):
        reason = f"{reason}, and it has expired"
    how = (
        f'use "{url}", or set GOVC_INSECURE=1 once to remember it'
        if url
        else f"add the line '{host}:{port} {seen}' to {known_file()}"
    )
    return WrongCertificate(
        f"the certificate of {host}:{port} is not trusted: {reason}. SHA-256 {seen}",
        hint="Compare it with the fingerprint on the server's own screen. "
        f"If it is the same: {how}",
    )


def _reason(error: ssl.SSLCertVerificationError) -> str:
    """``certificate has expired``, ``self-signed certificate``."""
    return str(error.verify_message or error)


def _look(host: str, port: int) -> bytes:
    """The certificate that is shown now; nothing is sent through this connection."""
    connection = http.client.HTTPSConnection(
        host, port, timeout=ANSWER_SECONDS, context=_unchecked()
    )
    try:
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        return connection.sock.getpeercert(binary_form=True) or b""
    finally:
        connection.close()


def _expired(host: str, port: int, der: bytes) -> bool:
    """Whether it would be refused even by one who trusts exactly this certificate: OpenSSL tells
    of the unknown signer first, and a person would pin what ended long ago."""
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(der))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    connection = http.client.HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=context)
    try:
        connection.connect()
    except ssl.SSLCertVerificationError as error:
        return "expired" in _reason(error)
    finally:
        connection.close()
    return False


def _handshake(trust: Trust, host: str, port: int) -> None:
    connection = trust.connection(host, port)
    try:
        connection.connect()
    finally:
        connection.close()


def _plain(value: str) -> str:
    return value.replace(":", "").lower()


def _context(pin: str) -> ssl.SSLContext:
    return _unchecked() if pin else ssl.create_default_context()


def _unchecked() -> ssl.SSLContext:
    """For connections whose certificate is compared with a pin, or only looked at. Without the
    system's authorities, which take 20 ms to load."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
