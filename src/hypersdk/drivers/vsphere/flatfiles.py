"""Files of datastores over HTTPS: ``/folder/PATH?dcPath=…&dsName=…``, whole or by ranges.

A vCenter hands them on from a host. Whether ranges are served depends on host, datastore and
whether the file is locked: it is found out by asking for the first bytes (`probe`).
"""

from __future__ import annotations

import http.client
import logging
import re
from contextlib import suppress
from typing import Any

from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.descriptor import MOST, DatastorePath, DiskDescriptor
from hypersdk.drivers.vsphere.waiting import PatientSocket
from hypersdk.model.errors import (
    DataPathError,
    EndpointTimeout,
    HyperSDKError,
    HypervisorDenied,
    HypervisorError,
    HypervisorUnreachable,
    ImageRefused,
    NotFound,
)

_log = logging.getLogger(__name__)

#: Seconds without a byte.
SILENCE_SECONDS = 120.0
#: Tries for one range, and seconds before the second; doubled each time.
_TRIES = 5
_PAUSE_SECONDS = 0.25
#: Bytes that a probe asks for.
_PROBE = 512
#: Bytes of an explanation that are shown.
_SAID = 200
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class DatastoreFile:
    """One file, over a connection that is kept. One thread at a time."""

    def __init__(
        self, connection: Connection, url: str, name: str, *, silence: float = SILENCE_SECONDS
    ) -> None:
        """``name``: for messages."""
        self._connection, self.url, self.name = connection, url, name
        self._silence = silence
        self._http: http.client.HTTPConnection | None = None
        _, _, path = url.partition("://")
        self._path = path[path.index("/") :]

    def read(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``; a request that fails is made again a few times.

        Raises EndpointTimeout, HypervisorError, DataPathError for a file that is shorter.
        """
        pause = _PAUSE_SECONDS
        for attempt in range(1, _TRIES + 1):
            try:
                self._read_once(offset, buffer)
            except (HypervisorUnreachable, EndpointTimeout) as error:
                self.close()
                if attempt == _TRIES:
                    raise
                _log.info("%s Asked again (%d of %d).", error.message, attempt + 1, _TRIES)
            else:
                return
            token_in_force().wait(pause)
            pause *= 2

    def _read_once(self, offset: int, buffer: memoryview) -> None:
        end = offset + len(buffer)
        response = self._answer({"Range": f"bytes={offset}-{end - 1}"})
        try:
            if response.status != http.client.PARTIAL_CONTENT:
                raise self._refused(response)
            found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if found is None or (int(found[1]), int(found[2])) != (offset, end - 1):
                raise DataPathError(
                    f"{self.name}: {offset} to {end - 1} was asked for, "
                    f"'{response.headers.get('Content-Range', '')}' came",
                    hint="The file is shorter than the disk, or the host serves no ranges.",
                )
            at = 0
            while at < len(buffer):
                count = response.readinto(buffer[at:])
                if not count:
                    raise self._broken(ConnectionResetError("the answer ended early"))
                at += count
            response.read()  # the end of the answer, so that the connection can be used again
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._broken(error) from error

    def probe(self) -> str:
        """Why it cannot be read by ranges; empty when it can."""
        try:
            self._read_once(0, memoryview(bytearray(_PROBE)))
        except HyperSDKError as error:
            return error.message
        finally:
            self.close()
        return ""

    def read_all(self, most: int) -> bytes:
        """The whole of a small file. Raises ImageRefused for more than ``most`` bytes."""
        response = self._answer({})
        try:
            if response.status != http.client.OK:
                raise self._refused(response)
            content = response.read(most + 1)
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error
        finally:
            self.close()
        if len(content) > most:
            raise ImageRefused(f"{self.name} has more than {most} bytes")
        return content

    def _answer(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        try:
            if self._http is None or self._http.sock is None:
                self._http = self._connection.http(self.url)
                inner: Any = self._http.sock
                patient: Any = PatientSocket(inner, silence=self._silence, name=self.name)
                self._http.sock = patient
            known = self._connection.headers(self.url)
            self._http.request("GET", self._path, headers={**headers, **known})
            return self._http.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error) from error

    def _refused(self, response: http.client.HTTPResponse) -> HyperSDKError:
        status, words = response.status, f"{response.status} {response.reason}"
        if status == http.client.FORBIDDEN:
            said = response.read(_SAID).decode("utf-8", "replace").strip()
            words = f"{words}: {said}" if said and "<" not in said else words
        self.close()
        if status == http.client.UNAUTHORIZED:
            self._log_in_again()
            return HypervisorUnreachable(f"{self.name}: the session is not accepted ({words})")
        if status == http.client.NOT_FOUND:
            return NotFound(f"{self.name}: there is no such file")
        if status == http.client.OK:
            return HypervisorError(f"{self.name}: the host serves no ranges")
        if status >= http.client.INTERNAL_SERVER_ERROR:
            return HypervisorUnreachable(
                f"{self.name}: the host answers {words}",
                hint="See the host's log (hostd.log); a file that is in use is locked.",
            )
        return HypervisorDenied(
            f"{self.name}: the host answers {words}",
            hint="A running machine's file is locked; and the user needs Datastore.FileManagement.",
        )

    def _log_in_again(self) -> None:
        """Any call that needs a session does it, when that has ended."""
        with suppress(HyperSDKError):
            self._connection.get(self._connection.content.rootFolder, "name")

    def _broken(self, error: BaseException) -> HyperSDKError:
        self.close()
        reason = getattr(error, "strerror", "") or str(error) or type(error).__name__
        return EndpointTimeout(
            f"{self.name}: the connection broke: {reason}",
            hint="Look at the network to the host, and run it again.",
        )

    def close(self) -> None:
        """The next read connects again."""
        if self._http is not None:
            self._http.close()
            self._http = None


def open_file(
    connection: Connection, datacenter: str, path: DatastorePath, instance: str
) -> DatastoreFile:
    """A file by its path on a datastore."""
    url = path.url(connection.address.endpoint, datacenter)
    return DatastoreFile(connection, url, f"{path} of '{instance}'")


def flat_file(
    connection: Connection, datacenter: str, descriptor: str, size: int, instance: str
) -> DatastoreFile | str:
    """The file that holds a disk, when it can be read by ranges; else why not. ``descriptor``:
    path of the disk, ``[datastore1] web/web.vmdk``; ``size``: bytes of the disk."""
    try:
        path = DatastorePath.parse(descriptor)
        text = open_file(connection, datacenter, path, instance).read_all(MOST)
        found = DiskDescriptor.parse(text.decode("utf-8", "replace")).flat_file(size)
    except HyperSDKError as error:
        return error.message
    if isinstance(found, str):
        return found
    file = open_file(connection, datacenter, path.beside(found.file), instance)
    return file.probe() or file
