"""One attempt to deliver: a POST to an address that was looked at, and no redirect is followed."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from hypersdk.estate.targets import Target, addresses, parse
from hypersdk.model.errors import InvalidInput

#: Of an answer that is read for its words.
_SAID_MOST = 200
_LONGEST_WAIT = 7200.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an attempt."""

    delivered: bool
    said: str
    #: It would be the same at any time.
    final: bool = False
    #: Seconds that the other end asks to wait.
    after: float = 0.0


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, allow_private: bool
) -> Answered:
    """Deliver once, within about ``timeout`` seconds. Raises nothing."""
    try:
        target = parse(url, allow_private=allow_private)
        connection = _connection(target, timeout, addresses(target, allow_private=allow_private))
    except InvalidInput as error:
        return Answered(False, error.message, final=True)
    except OSError as error:
        return Answered(False, _reason(error))
    # A server that sends a byte now and then would hold us for days: each wait is within bounds.
    ending = threading.Timer(timeout, _break, [connection])
    ending.daemon = True
    try:
        connection.connect()
        ending.start()
        connection.request("POST", target.path, body, dict(headers))
        return _judged(connection.getresponse())
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answered(False, _reason(error))
    finally:
        ending.cancel()
        connection.close()


def _judged(response: http.client.HTTPResponse) -> Answered:
    status = response.status
    if 200 <= status < 300:
        return Answered(True, f"it answered {status}")
    if 300 <= status < 400:
        return Answered(False, f"it answered {status}: redirects are not followed")
    words = response.read(_SAID_MOST).decode(errors="replace").strip()
    said = f"it answered {status} {response.reason}".rstrip() + (f": {words}" if words else "")
    return Answered(
        False, said, final=status == 410, after=_seconds(response.getheader("retry-after") or "")
    )


def _connection(
    target: Target, timeout: float, places: tuple[str, ...]
) -> http.client.HTTPConnection:
    if target.parts.scheme == "https":
        return _SecureConnection(target, timeout, places)
    return _PlainConnection(target, timeout, places)


class _PlainConnection(http.client.HTTPConnection):
    """To addresses that were looked up before; the name is for the head of the request alone."""

    def __init__(self, target: Target, timeout: float, places: tuple[str, ...]) -> None:
        super().__init__(target.host, target.port, timeout=timeout)
        self._places = places

    def connect(self) -> None:
        self.sock = self._open()

    def _open(self) -> socket.socket:
        last: OSError = OSError("it has no address")
        for place in self._places:
            try:
                return socket.create_connection((place, self.port), self.timeout)
            except OSError as error:
                last = error
        raise last


class _SecureConnection(_PlainConnection):
    """The certificate is that of the name."""

    def connect(self) -> None:
        plain = self._open()
        try:
            self.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def _break(connection: http.client.HTTPConnection) -> None:
    held = connection.sock
    if held is not None:
        try:
            held.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is closed already


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return f"its name is not known: {error.strerror}"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return "what it answered is not HTTP, or came too slowly"


def _seconds(text: str) -> float:
    """Of ``Retry-After``; 0 for a date, which we do not obey."""
    digits = text.isascii() and text.isdigit() and len(text) < 9
    return min(float(text), _LONGEST_WAIT) if digits else 0.0
