"""A repository in a folder of this machine: a local disk, or NFS and the like mounted on it.

An object is a file below the root. It is written under another name in the spool folder, made
durable, and only then given its name (see ``publish``), so that a reader meets whole objects only
and a power cut leaves nothing but a file in the spool.

A root that vanishes (a disk unplugged or unmounted) is noticed: every operation fails with
StoreUnavailable instead of reporting an empty repository or filling the mount point's folder.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat as filemode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from hypersdk.datapath.direct import PastCache
from hypersdk.model.errors import (
    HyperSDKError,
    ObjectExists,
    ObjectMissing,
    StoreError,
    StoreUnavailable,
)
from hypersdk.repository.store import oserrors
from hypersdk.repository.store.descriptors import Descriptors
from hypersdk.repository.store.keys import SPOOL, check_key, check_prefix, fault_of_key
from hypersdk.repository.store.ports import ObjectInfo
from hypersdk.repository.store.publish import publish
from hypersdk.repository.store.ranges import check_range, check_request, too_short

#: An unfinished write this old belongs to a writer that died.
UNFINISHED_AGE = timedelta(hours=24)
#: The folder that a repository's root has, by which a root is known again after a new mount.
_ENGINE_ROOM = ".hypersdk"
#: Made by mkfs in the root of a filesystem, readable by root alone, never ours.
_FOREIGN_FOLDERS = {"lost+found"}


class LocalStore:
    """Objects as files below ``root``, which must exist unless ``create``.

    Files are created 0600 and new folders 0700: names and sizes are a secret of the owner too.
    """

    def __init__(self, root: str | os.PathLike[str], *, create: bool = False) -> None:
        self.root = os.path.abspath(os.fspath(root))
        self.url = self.root
        self.latency_bound = False
        self._spool = os.path.join(self.root, SPOOL)
        self._open_files = Descriptors()
        #: Folders whose entry in their parent is known to survive a power cut.
        self._durable_folders: set[str] = set()
        with self._failures():
            if create:
                for folder in _make_folders(self._spool):
                    oserrors.sync_folder(os.path.dirname(folder))
            self._identity = self._look_at_root()

    # -- writing

    def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
        final = self._path(key)
        with self._failures(key):
            self._require_root()
            if os.path.lexists(final):
                raise self._taken(key, final)
            temporary = self._write_unfinished(data)
            try:
                self._publish(temporary, final)
            except FileExistsError:
                raise self._taken(key, final) from None
            except NotADirectoryError:
                raise StoreError(
                    f"a part of {key} is an object in {self.url}, not a folder"
                ) from None
            finally:
                with contextlib.suppress(OSError):  # at worst the next sweep removes it
                    os.unlink(temporary)

    def delete(self, key: str) -> None:
        path = self._path(key)
        self._open_files.drop(path)
        with self._failures(key):
            try:
                os.unlink(path)
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return
            oserrors.sync_folder(os.path.dirname(path))

    def sweep_unfinished(self, older_than: timedelta = UNFINISHED_AGE) -> int:
        """Remove what writers that died left in the spool; returns how many files.

        Age is counted from a file made now in the same folder, so the clock is the storage's.
        """
        removed = 0
        with self._failures():
            self._require_root()
            probe = self._write_unfinished(b"")
            limit = os.stat(probe).st_mtime - older_than.total_seconds()
            os.unlink(probe)
            with os.scandir(self._spool) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # its writer finished just now
                        if entry.stat(follow_symlinks=False).st_mtime < limit:
                            os.unlink(entry.path)
                            removed += 1
        return removed

    # -- reading

    def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        check_request(offset, length)
        path = self._path(key)
        with self._failures(key):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                size = os.fstat(descriptor).st_size
                start, end = check_range(key, size, offset, length)
                buffer = bytearray(end - start)
                self._read_all(descriptor, key, start, memoryview(buffer))
            finally:
                os.close(descriptor)
        return bytes(buffer)

    def get_into(self, key: str, offset: int, buffer: memoryview) -> None:
        check_request(offset, buffer.nbytes)
        path = self._path(key)
        with self._failures(key), self._open_files.use(path) as descriptor:
            self._read_all(descriptor, key, offset, buffer.cast("B"))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        with self._failures():
            self._require_root()
            yield from self._walk(prefix)

    def folders(self, prefix: str = "") -> tuple[str, ...]:
        check_prefix(prefix)
        with self._failures():
            self._require_root()
            found = self._scan(prefix)
            return tuple(entry.name for _, entry in found if entry.is_dir(follow_symlinks=False))

    def stat(self, key: str) -> ObjectInfo:
        path = self._path(key)
        with self._failures(key):
            status = os.stat(path, follow_symlinks=False)
        if not filemode.S_ISREG(status.st_mode):
            raise ObjectMissing(f"{key} is not in {self.url}")
        return _info(key, status)

    def close(self) -> None:
        self._open_files.close()

    # -- files

    def _path(self, key: str) -> str:
        return os.path.join(self.root, check_key(key))

    def _write_unfinished(self, data: bytes | bytearray | memoryview) -> str:
        """A durable file with ``data`` in the spool. A failure leaves no file behind."""
        name = f"{os.getpid()}-{secrets.token_hex(8)}"
        path = os.path.join(self._spool, name)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            self._require_root()
            _make_folders(self._spool)
            descriptor = os.open(path, flags, 0o600)
        try:
            try:
                _write_all(descriptor, memoryview(data).cast("B"))
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
        return path

    def _publish(self, temporary: str, final: str) -> None:
        """Give the file its name and make that survive a power cut."""
        folder = os.path.dirname(final)
        try:
            publish(temporary, final)
        except FileNotFoundError:
            self._require_root()
            _make_folders(folder)
            publish(temporary, final)
        oserrors.sync_folder(folder)
        self._make_durable(folder)

    def _taken(self, key: str, final: str) -> ObjectExists:
        """The error for a taken name, once the object there is durable.

        Its writer may not have come so far yet, and callers of content-named objects take
        ObjectExists for "stored".
        """
        folder = os.path.dirname(final)
        oserrors.sync_folder(folder)
        self._make_durable(folder)
        return ObjectExists(f"{key} is already in {self.url}")

    def _make_durable(self, folder: str) -> None:
        """Sync the folders from the parent of ``folder`` up to the root, once per folder.

        Also when another process made the folder: it may not have come to its own sync yet.
        """
        while folder != self.root and folder not in self._durable_folders:
            parent = os.path.dirname(folder)
            oserrors.sync_folder(parent)
            self._durable_folders.add(folder)
            folder = parent

    def _read_all(self, descriptor: int, key: str, offset: int, view: memoryview) -> None:
        """Fill ``view``; ``read`` may return less than asked, above all at 2 GiB and on NFS."""
        done = 0
        while done < len(view):
            count = os.preadv(descriptor, [view[done:]], offset + done)
            if count == 0:
                raise too_short(key, os.fstat(descriptor).st_size, offset, len(view))
            done += count

    def _walk(self, prefix: str) -> Iterator[ObjectInfo]:
        folders = [prefix]
        while folders:
            for key, entry in self._scan(folders.pop()):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(key)
                elif entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):  # deleted since
                        yield _info(key, entry.stat(follow_symlinks=False))

    def _scan(self, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """What lies in a folder and can be ours, with its key, by name."""
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            self._require_root()
            return
        for entry in found:
            key = f"{folder}/{entry.name}" if folder else entry.name
            # A key has a fault in the spool, and when it is a foreign file's that none can name.
            if key not in _FOREIGN_FOLDERS and not fault_of_key(key):
                yield key, entry

    # -- the root

    def _look_at_root(self) -> tuple[int, int]:
        """Device and inode of the root. Raises StoreUnavailable when it is not there."""
        try:
            status = os.stat(self.root)
        except (FileNotFoundError, NotADirectoryError):
            status = None
        if status is None or not filemode.S_ISDIR(status.st_mode):
            raise StoreUnavailable(
                f"the folder {self.root} does not exist",
                hint="Check the path, and that its disk is mounted.",
            )
        return status.st_dev, status.st_ino

    def _require_root(self) -> None:
        """Raises StoreUnavailable when the root is gone or another folder has taken its place.

        An unmounted disk leaves its mount point behind, an empty folder with another identity.
        A repository that was mounted anew is recognised by its engine room.
        """
        try:
            identity = self._look_at_root()
        except StoreUnavailable:
            raise self._vanished() from None
        if identity == self._identity:
            return
        if not os.path.isdir(os.path.join(self.root, _ENGINE_ROOM)):
            raise self._vanished()
        self._identity = identity

    def _vanished(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"the folder {self.root} has vanished; is the disk mounted?",
            hint="Mount it again and run the same command: what is stored is kept and reused.",
        )

    @contextlib.contextmanager
    def _failures(self, key: str = "") -> Iterator[None]:
        """Turn every OSError of the block into one of our errors."""
        try:
            yield
        except OSError as error:
            raise self._translate(error, key) from error

    def _translate(self, error: OSError, key: str) -> HyperSDKError:
        if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError)) and key:
            try:
                self._require_root()
            except HyperSDKError as vanished:
                return vanished
            except OSError as worse:
                return oserrors.store_error(worse, self.root)
            return ObjectMissing(f"{key} is not in {self.url}")
        path = os.path.join(self.root, key) if key else str(error.filename or self.root)
        return oserrors.store_error(error, path)


def _make_folders(folder: str) -> list[str]:
    """Make ``folder`` and its missing parents, 0700; returns what was missing, topmost first.

    The caller has made sure that the root exists where it must not be made.
    """
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    missing.reverse()
    for path in missing:
        with contextlib.suppress(FileExistsError):  # another writer was faster
            os.mkdir(path, 0o700)
    return missing


def _write_all(descriptor: int, view: memoryview) -> None:
    """A new file. Packs go past the cache: nobody reads them again soon."""
    past_cache = PastCache(descriptor)
    try:
        done = past_cache.write(view, 0)
    finally:
        past_cache.close()
    while done < len(view):
        done += os.pwrite(descriptor, view[done:], done)


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    # In whole microseconds: a float of seconds would round, and two objects compare wrongly.
    modified = datetime.fromtimestamp(status.st_mtime_ns // 1_000_000_000, UTC)
    microseconds = status.st_mtime_ns % 1_000_000_000 // 1000
    return ObjectInfo(key, status.st_size, modified.replace(microsecond=microseconds))
