"""Disks as export streams: what a lease's URLs hand out, once, from front to back.

The stream is a streamOptimized VMDK, chunked, of unknown length, and cannot be begun in the middle.
It is whole when its end marker came, not when the connection ended: a host that dies looks just
like one that is done. What was received is hashed on the way and compared with the manifest of the
lease (`exporting`).
"""

from __future__ import annotations

import hashlib
import http.client
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from hypersdk.datapath.handle import Shared
from hypersdk.datapath.streamvmdk import Digesting, Hash, Record, StreamVmdkSource
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.lease import Device, Lease
from hypersdk.drivers.vsphere.waiting import PatientSocket
from hypersdk.model.errors import (
    EndpointTimeout,
    HyperSDKError,
    HypervisorError,
    ImageRefused,
)
from hypersdk.model.extents import Extent

_log = logging.getLogger(__name__)

#: Seconds without a byte: a thin disk of terabytes without data is silent while its host looks
#: through its tables. A host that is gone is noticed by the lease long before.
SILENCE_SECONDS = 900.0
#: Bytes taken from the connection at once.
_BLOCK = 1 << 20
#: Bytes that may follow the end of the stream: padding.
_MOST_TRAILING = 1 << 20
_ACCEPT = "application/x-vnd.vmware-streamVmdk"


@dataclass(frozen=True, slots=True)
class Received:
    """What came of a file, to be compared with the manifest."""

    #: Of the lease's device.
    key: str
    #: Bytes.
    size: int
    #: Hexadecimal.
    digest: str


class StreamDigest:
    """The digest of all that a stream brings, to be compared with vSphere's."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._hash: Hash = hashlib.new(algorithm, usedforsecurity=False)
        self._ours = True

    def made_by(self, output: object) -> None:
        """``output`` is going to be given all of the stream but what follows its end: where it
        makes this digest too, it is made once. Twice took an eighth of an export."""
        if isinstance(output, Digesting) and (theirs := output.digesting(self._algorithm)):
            self._hash, self._ours = theirs, False

    def received(self, data: bytes) -> None:
        """Something came."""
        if self._ours:
            self._hash.update(data)

    def after_end(self, data: bytes) -> None:
        """What followed the end of the stream, which came too but was given to nobody."""
        if not self._ours:
            self._hash, self._ours = self._hash.copy(), True
            self._hash.update(data)

    def hexdigest(self) -> str:
        """Of what came so far."""
        return self._hash.hexdigest()


class Download:
    """A file of a lease as it comes: a stream with a digest. One thread at a time."""

    def __init__(
        self,
        connection: Connection,
        lease: Lease,
        device: Device,
        name: str,
        *,
        digest: str,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        """``name``: "disk scsi0-0 of 'web'". ``digest``: ``sha256`` or ``sha1``.

        Raises HypervisorError for an answer that is no stream, HypervisorUnreachable.
        """
        self.name = name
        self._lease, self._device = lease, device
        self.digest = StreamDigest(digest)
        self._block = memoryview(b"")
        self._ended = False
        self.size = 0
        self._http = self._connected(connection)
        try:
            self._socket = PatientSocket(self._http.sock, silence=silence, name=name)
            self._http.sock = self._socket
            self._response = self._answer(connection)
        except BaseException:
            self._http.close()
            raise

    def _connected(self, connection: Connection) -> http.client.HTTPSConnection:
        try:
            return connection.http(self._device.url, thumbprint=self._device.thumbprint)
        except HypervisorError as error:
            raise type(error)(f"{self.name}: {error.message}", hint=error.hint) from error

    def _answer(self, connection: Connection) -> http.client.HTTPResponse:
        parts = urlsplit(self._device.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        headers = {"Accept": _ACCEPT, **connection.headers(self._device.url)}
        try:
            self._http.request("GET", path, headers=headers)
            response = self._http.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error
        if response.status != http.client.OK:
            raise EndpointTimeout(
                f"{self.name}: the host answers {response.status} {response.reason}"
                f" when the export stream is begun{self._because()}",
                hint="See the tasks of the virtual machine and the host's log (hostd.log).",
            )
        return response

    def read(self, count: int, /) -> bytes:
        """At most ``count`` bytes. Never empty: who asks expects more, so an end is a cut."""
        if not self._block:
            self._fill()
        if not self._block:
            raise EndpointTimeout(
                f"{self.name}: the host ended the stream after {self.size} bytes, before its end"
                + self._because(),
                hint="A stream cannot go on where it was cut: it is fetched again from the start.",
            )
        taken = bytes(self._block[:count])
        self._block = self._block[count:]
        return taken

    def drain(self) -> bytes:
        """What follows the end of the disk. Raises ImageRefused when that does not end."""
        parts = [bytes(self._block)]
        while not self._ended and sum(map(len, parts)) < _MOST_TRAILING:
            self._fill()
            parts.append(bytes(self._block))
        if not self._ended:
            raise ImageRefused(f"{self.name}: the stream goes on behind its end")
        data = b"".join(parts)
        self.digest.after_end(data)
        return data

    def _fill(self) -> None:
        if self._ended:
            self._block = memoryview(b"")
            return
        try:
            data = self._response.read1(_BLOCK)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from error
        self._ended = not data
        self.digest.received(data)
        self.size += len(data)
        self._block = memoryview(data)

    def _broken(self, error: BaseException) -> HyperSDKError:
        reason = getattr(error, "strerror", "") or str(error) or type(error).__name__
        return EndpointTimeout(
            f"{self.name}: the stream was cut after {self.size} bytes"
            f"{self._because() or f': {reason}'}",
            hint="It cannot go on where it was cut: it is fetched again from the start.",
        )

    def _because(self) -> str:
        """What vSphere says of the lease, where that is lost."""
        why = self._lease.why_lost()
        return f": {why}" if why else ""

    def received(self) -> Received:
        """What came; after the end."""
        return Received(self._device.key, self.size, self.digest.hexdigest())

    def read_all(self, most: int) -> bytes:
        """The whole of a small file. Raises ImageRefused when it has more than ``most`` bytes."""
        parts = []
        while not self._ended:
            self._fill()
            parts.append(bytes(self._block))
            if self.size > most:
                raise ImageRefused(f"{self.name} has more than {most} bytes")
        return b"".join(parts)

    def close(self) -> None:
        """Also in the middle."""
        response = getattr(self, "_response", None)
        if response is not None:
            response.close()
        self._http.close()


class NfcSource(StreamVmdkSource):
    """A disk that comes by a lease. Its connection ends with its last clone."""

    def __init__(
        self,
        download: Download,
        size: int,
        *,
        done: Callable[[Received], None],
        progress: Callable[[int], None],
    ) -> None:
        """``size``: of the disk. ``done`` is called when all of it came and was whole;
        ``progress`` with the bytes of the disk that are behind us.

        Raises ImageRefused when the stream is of a disk of another size.
        """
        self._download = Shared(download, Download.close)
        self._closed = False
        try:
            super().__init__(download, download.name)
            _check_size(self, size, download.name)
        except BaseException:
            download.close()
            raise
        self._done, self._progress = done, progress

    def record(self, output: Record) -> None:
        self._download.value.digest.made_by(output)
        super().record(output)

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        for extent in super().extents(start, length):
            yield extent
            self._progress(extent.end)
        if self.finished:
            download = self._download.value
            self._after_end(download.drain())
            self._done(download.received())

    def _after_end(self, data: bytes) -> None:
        if data.strip(b"\0"):
            raise ImageRefused(f"{self._download.value.name}: data follows the end of the stream")

    def clone(self) -> Self:
        self._download.hold()
        twin = super().clone()
        twin.__dict__.update(self.__dict__, _closed=False)
        return twin

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._download.release()


def _check_size(source: NfcSource, size: int, name: str) -> None:
    if source.size != size:
        raise ImageRefused(f"{name}: the stream is of a disk of {source.size} bytes, not {size}")
