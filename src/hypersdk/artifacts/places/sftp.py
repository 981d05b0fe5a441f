"""A folder on a machine with SSH: ``sftp://user@host:port/folder``.

A file is written under ``.<name>.<mark>.partial`` and renamed when it is complete. The mark is made
of the file's size and time, so a file that was brought in part goes on from there in the next try
or run, after its last MiB was compared; a stream, which comes once, is removed when it fails.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import posixpath
import secrets
import stat as filemode
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko

from hypersdk.artifacts.places.ports import PlacedFile
from hypersdk.artifacts.places.sources import PARTIAL, Sending, checked_name, sending
from hypersdk.artifacts.places.sshconnection import SshAddress, connect
from hypersdk.artifacts.streams import STEP, Readable, Told, ignore
from hypersdk.datapath.cancel import CancelToken, token_in_force
from hypersdk.model.errors import (
    AlreadyExists,
    Damaged,
    HyperSDKError,
    NotFound,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from paramiko import SFTPAttributes, SFTPClient, SFTPFile, SSHClient

#: Bytes of a write: what every server takes in one message.
_WRITE = 32 << 10
#: OpenSSH allows ten in one connection.
_CHANNELS = 8
#: Bytes at the end of an unfinished file that are compared before it is continued.
_COMPARED = 1 << 20


class SftpPlace:
    """Files below a folder, which is made when it is missing. Connects at the first call."""

    def __init__(self, address: SshAddress) -> None:
        self.url = str(address)
        self._address = address
        self._lock = threading.Lock()
        self._ssh: SSHClient | None = None
        #: One for each thread at work: paramiko's block each other when they are shared.
        self._idle: list[SFTPClient] = []
        self._channels = threading.BoundedSemaphore(_CHANNELS)

    def put(
        self,
        name: str,
        source: Path | Readable,
        *,
        size: int | None = None,
        overwrite: bool = False,
        progress: Told = ignore,
        pace: Told = ignore,
        cancel: CancelToken | None = None,
    ) -> PlacedFile:
        target = self._path(name)
        token = cancel or token_in_force()
        with self._errors(name) as sftp:
            if not overwrite and _found(sftp, target) is not None:
                raise self._exists(name)
            _make_folders(sftp, posixpath.dirname(target))
            partial = _partial_name(target, source)
            with sending(
                source, name, size=size, progress=progress, pace=pace, cancel=token
            ) as content:
                try:
                    confirmed = self._send(sftp, partial, content, name)
                    self._publish(sftp, partial, target, name, overwrite)
                except BaseException:
                    if not isinstance(source, Path):
                        _remove(sftp, partial)
                    raise
        return PlacedFile(name, content.count, datetime.now(UTC), content.sha256, confirmed)

    def read(self, name: str) -> Iterator[bytes]:
        with self._errors(name) as sftp, sftp.open(self._path(name), "rb") as file:
            file.prefetch()
            while data := file.read(STEP):
                yield data

    def stat(self, name: str) -> PlacedFile:
        with self._errors(name) as sftp:
            found = sftp.stat(self._path(name))
        if not filemode.S_ISREG(found.st_mode or 0):
            raise NotFound(f"{self.url}/{name} is no file")
        return _placed(name, found)

    def list(self, prefix: str = "") -> Iterator[PlacedFile]:
        folders = [checked_name(prefix)] if prefix else [""]
        while folders:
            folder = folders.pop()
            with self._errors(folder) as sftp:
                try:
                    entries = sftp.listdir_attr(posixpath.join(self._address.folder, folder))
                except FileNotFoundError:
                    continue
            for entry in entries:
                name = posixpath.join(folder, entry.filename)
                if filemode.S_ISDIR(entry.st_mode or 0):
                    folders.append(name)
                elif filemode.S_ISREG(entry.st_mode or 0) and not name.endswith(PARTIAL):
                    yield _placed(name, entry)

    def delete(self, name: str) -> None:
        with contextlib.suppress(NotFound), self._errors(name) as sftp:
            sftp.remove(self._path(name))

    def close(self) -> None:
        with self._lock:
            if self._ssh is not None:
                self._ssh.close()
            self._ssh = None
            self._idle.clear()

    # -- sending

    def _send(self, sftp: SFTPClient, partial: str, content: Sending, name: str) -> str:
        """Write the partial file; returns what confirmed it besides its size."""
        at = _continued(sftp, partial, content)
        with sftp.open(partial, "r+b" if at else "wb") as file:
            file.set_pipelined(True)
            file.seek(at)
            while data := content.read(STEP):
                for begin in range(0, len(data), _WRITE):
                    file.write(data[begin : begin + _WRITE])
        size = sftp.stat(partial).st_size
        if size != content.count:
            raise Damaged(
                f"{self.url}/{name} has {size} bytes, {content.count} were sent",
                hint="Bring it again.",
            )
        with sftp.open(partial, "rb") as file:
            found = _digest_there(file)
        if found and found != content.sha256:
            _remove(sftp, partial)
            raise Damaged(
                f"{self.url}/{name} is not what was sent: its sha256 is {found[:16]}…",
                hint="Bring it again.",
            )
        return "digest" if found else ""

    def _publish(
        self, sftp: SFTPClient, partial: str, target: str, name: str, overwrite: bool
    ) -> None:
        if overwrite:
            try:
                sftp.posix_rename(partial, target)
            except OSError:
                # A server without that extension: its own rename never replaces.
                _remove(sftp, target)
                sftp.rename(partial, target)
            return
        if _found(sftp, target) is not None:
            raise self._exists(name)
        sftp.rename(partial, target)

    # -- connection

    @contextlib.contextmanager
    def _channel(self) -> Iterator[SFTPClient]:
        """One that nobody else uses meanwhile; given back unless something failed in the block."""
        with self._channels:
            with self._lock:
                if self._ssh is None:
                    self._ssh = connect(self._address)
                ssh = self._ssh
                sftp = self._idle.pop() if self._idle else ssh.open_sftp()
            try:
                yield sftp
            except BaseException:
                sftp.close()
                raise
            with self._lock:
                if ssh is self._ssh:
                    self._idle.append(sftp)

    @contextlib.contextmanager
    def _errors(self, name: str) -> Iterator[SFTPClient]:
        """A live connection, and its errors as ours. One that broke is made anew the next time."""
        what = f"{self.url}/{name}" if name else self.url
        try:
            with self._channel() as sftp:
                yield sftp
        except HyperSDKError:
            raise
        except FileNotFoundError as error:
            raise NotFound(f"{what} is not there") from error
        except PermissionError as error:
            raise StoreDenied(
                f"{what}: permission denied", hint="Check who owns the folder there."
            ) from error
        except (paramiko.SSHException, EOFError, ConnectionError, TimeoutError) as error:
            self.close()
            raise self._lost(what, error) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFull(f"no space left for {what}", hint="Free space there.") from error
            if "closed" in str(error).lower():
                self.close()
                raise self._lost(what, error) from error
            raise StoreError(f"{what}: {error}") from error

    def _lost(self, what: str, error: BaseException) -> StoreUnavailable:
        return StoreUnavailable(
            f"{what}: the connection was lost: {error or type(error).__name__}",
            hint="Run the same command again: a file goes on from where it stopped.",
        )

    def _exists(self, name: str) -> AlreadyExists:
        return AlreadyExists(
            f"{self.url}/{name} already exists",
            hint="Choose another name, or say that it may be overwritten.",
        )

    def _path(self, name: str) -> str:
        return posixpath.join(self._address.folder, checked_name(name))


def _partial_name(target: str, source: Path | Readable) -> str:
    mark = secrets.token_hex(4)
    if isinstance(source, Path):
        found = source.stat()
        seed = f"{source.name} {found.st_size} {found.st_mtime_ns}"
        mark = hashlib.sha256(seed.encode()).hexdigest()[:8]
    folder, name = posixpath.split(target)
    return posixpath.join(folder, f".{name[:200]}.{mark}{PARTIAL}")


def _continued(sftp: SFTPClient, partial: str, content: Sending) -> int:
    """Bytes of an earlier try that need not be sent again, taken from ``content``; 0: none."""
    there = (_found(sftp, partial) or 0) if content.size is not None else 0
    if not 0 < there <= (content.size or 0):
        return 0
    with sftp.open(partial, "rb") as file:
        file.seek(max(there - _COMPARED, 0))
        last = file.read(_COMPARED)
    tail = b""
    left = there
    while left and (data := content.read(min(left, STEP))):
        left -= len(data)
        tail = (tail + data)[-_COMPARED:]
    if tail != last:
        _remove(sftp, partial)
        raise StoreUnavailable(
            f"{partial} is not the beginning of what is sent, and was removed",
            hint="Bring it again.",
        )
    return there


def _digest_there(file: SFTPFile) -> str:
    """SHA-256 that the server computed; empty when it does not offer that (OpenSSH does not)."""
    try:
        return file.check("sha256").hex()
    except (OSError, paramiko.SSHException, EOFError):
        return ""


def _make_folders(sftp: SFTPClient, folder: str) -> None:
    missing = []
    found = None
    while folder not in {"", "/", "."} and (found := _stat(sftp, folder)) is None:
        missing.append(folder)
        folder = posixpath.dirname(folder)
    if found is not None and not filemode.S_ISDIR(found.st_mode or 0):
        raise StoreError(f"{folder} is a file and no folder", hint="Choose another folder.")
    for each in reversed(missing):
        try:
            sftp.mkdir(each, 0o700)
        except OSError:
            if _stat(sftp, each) is None:  # not made by another thread meanwhile
                raise


def _stat(sftp: SFTPClient, path: str) -> SFTPAttributes | None:
    try:
        return sftp.stat(path)
    except FileNotFoundError:
        return None


def _found(sftp: SFTPClient, path: str) -> int | None:
    """Bytes of a file; None when it is not there."""
    found = _stat(sftp, path)
    return None if found is None else found.st_size or 0


def _remove(sftp: SFTPClient, path: str) -> None:
    """What cannot be removed is left: the error that led here says more."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        sftp.remove(path)


def _placed(name: str, found: SFTPAttributes) -> PlacedFile:
    modified = datetime.fromtimestamp(found.st_mtime, UTC) if found.st_mtime else None
    return PlacedFile(name, found.st_size or 0, modified)
