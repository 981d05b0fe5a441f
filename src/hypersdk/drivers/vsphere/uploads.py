"""Files that go up by a lease: packed disks as a stream of unknown length, other files whole.

A packed disk is not longer known before it was packed, so it is sent in chunks (HTTP/1.1). What
goes up is hashed, and compared with vSphere's own digest at the end.
"""

from __future__ import annotations

import hashlib
import http.client
from typing import Any
from urllib.parse import urlsplit

from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.lease import Device, Lease
from hypersdk.drivers.vsphere.waiting import PatientSocket
from hypersdk.model.errors import DataPathError, EndpointTimeout, HyperSDKError, HypervisorError

#: Seconds without anything going: a host may take its time to write what came.
SILENCE_SECONDS = 300.0
#: Bytes of a chunk: many small ones cost more than they hold.
_CHUNK = 1 << 20
_DISK = "application/x-vnd.vmware-streamVmdk"


class Upload:
    """One file on its way up: an ``Output``. One thread at a time."""

    def __init__(
        self,
        connection: Connection,
        lease: Lease,
        device: Device,
        name: str,
        *,
        digest: str,
        length: int | None = None,
    ) -> None:
        """``name``: "disk scsi0-0 of 'web'". ``length``: bytes of a file that is no disk."""
        self.name, self._lease, self._device = name, lease, device
        self._length = length
        self._hash = hashlib.new(digest, usedforsecurity=False)
        self._waiting = bytearray()
        self.size = 0
        self.finished = False
        self._http = connection.http(device.url, thumbprint=device.thumbprint)
        try:
            patient: Any = PatientSocket(self._http.sock, silence=SILENCE_SECONDS, name=name)
            self._http.sock = patient
            self._begin(connection)
        except BaseException:
            self._http.close()
            raise

    def _begin(self, connection: Connection) -> None:
        parts = urlsplit(self._device.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        try:
            self._http.putrequest("POST" if self._length is None else "PUT", path)
            for key, value in connection.headers(self._device.url).items():
                self._http.putheader(key, value)
            if self._length is None:
                self._http.putheader("Content-Type", _DISK)
                self._http.putheader("Transfer-Encoding", "chunked")
            else:
                self._http.putheader("Content-Type", "application/octet-stream")
                self._http.putheader("Content-Length", str(self._length))
                self._http.putheader("Overwrite", "t")
            self._http.endheaders()
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error

    def write(self, data: bytes | memoryview, /) -> None:
        """Raises EndpointTimeout when the host does not take it any more."""
        self._hash.update(data)
        self.size += len(data)
        self._waiting += data
        if len(self._waiting) >= _CHUNK:
            self._send()

    def _send(self) -> None:
        if not self._waiting:
            return
        self._lease.check()
        try:
            if self._length is None:
                self._http.send(b"%x\r\n" % len(self._waiting))
                self._http.send(bytes(self._waiting))
                self._http.send(b"\r\n")
            else:
                self._http.send(bytes(self._waiting))
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error
        self._waiting.clear()

    def finish(self) -> None:
        """Send what is left and wait until the host has taken it. May be called several times."""
        if self.finished:
            return
        self._send()
        try:
            if self._length is None:
                self._http.send(b"0\r\n\r\n")
            response = self._http.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error
        finally:
            self._http.close()
        if response.status not in (http.client.OK, http.client.CREATED, http.client.NO_CONTENT):
            raise HypervisorError(
                f"{self.name}: the host did not take it: {response.status} {response.reason}",
                hint="See the host's log (hostd.log), and that its datastore has room.",
            )
        self.finished = True

    def compare(self, told: str) -> None:
        """Raises DataPathError when vSphere received other bytes than were sent. ``told``: its
        digest; empty: it has none."""
        if told and told != self._hash.hexdigest():
            raise DataPathError(
                f"{self.name}: vSphere received other bytes than were sent",
                hint="They were damaged on their way: run it again, and look at the network.",
            )

    def _broken(self, error: BaseException) -> HyperSDKError:
        try:
            self._lease.check()
        except HyperSDKError as lost:
            return lost
        reason = getattr(error, "strerror", "") or str(error) or type(error).__name__
        return EndpointTimeout(
            f"{self.name}: the upload broke after {self.size} bytes: {reason}",
            hint="Look at the ESXi host and at the network to it, and run it again.",
        )

    def close(self) -> None:
        """Also in the middle: what was sent is worth nothing then."""
        self._http.close()
