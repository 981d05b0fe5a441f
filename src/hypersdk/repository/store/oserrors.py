"""Errors of the operating system as errors of a store."""

from __future__ import annotations

import errno
import os

from hypersdk.model.errors import StoreDenied, StoreError, StoreFull, StoreUnavailable

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EROFS, errno.EACCES, errno.EPERM}
_UNAVAILABLE = {
    errno.EIO,
    errno.ESTALE,
    errno.ENODEV,
    errno.ENXIO,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
}


def store_error(error: OSError, path: str) -> StoreError:
    """Which of our errors an OSError on ``path`` is, with what to do about it."""
    reason = error.strerror or str(error)
    code = error.errno
    if code in _FULL:
        return StoreFull(
            f"no space left for {path}: {reason}",
            hint="Free space or raise the quota, then run the same command: "
            "what is stored is kept and reused.",
        )
    if code == errno.EROFS:
        return StoreDenied(
            f"{path} is on a read-only filesystem",
            hint="Mount it read-write; a disk that became read-only by itself is failing.",
        )
    if code in _DENIED:
        return StoreDenied(
            f"no permission for {path}: {reason}",
            hint="Run as the owner of the repository, or correct its permissions.",
        )
    if code in _UNAVAILABLE:
        return StoreUnavailable(
            f"the storage under {path} does not answer: {reason}",
            hint="Check the disk or the network mount, then run the same command again.",
        )
    return StoreError(f"{path}: {reason}")


def sync_folder(path: str) -> None:
    """Make the names in a folder survive a power cut.

    Some network filesystems refuse to sync a folder (EINVAL) because their server already did.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP}:
            raise
    finally:
        os.close(descriptor)
