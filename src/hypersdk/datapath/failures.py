"""One place where errors of the operating system become ours."""

from __future__ import annotations

import errno
import os

from hypersdk.model.errors import AlreadyExists, DataPathError, HyperSDKError, NotFound

_HINTS = {
    errno.ENOSPC: "Free some space there, or choose a place with more room.",
    errno.EDQUOT: "The quota is used up: free some space, or choose another place.",
    errno.EFBIG: "The file system or a limit (ulimit -f) does not allow a file this large.",
    errno.EROFS: "The file system is mounted read-only: choose another place.",
    errno.EACCES: "Run as a user with access to it, or change its permissions.",
    errno.EPERM: "Run as a user with access to it, or change its permissions.",
    errno.EBUSY: "Something else uses it: unmount it or stop what holds it open.",
    errno.EIO: "The storage reported a defect: look at the kernel log (dmesg).",
    errno.EMFILE: "Too many files are open: raise the limit (ulimit -n).",
}


def from_os(error: OSError, path: str | os.PathLike[str], doing: str) -> HyperSDKError:
    """The error to raise for ``error`` met while ``doing`` something (``"read"``) on ``path``."""
    name = os.fspath(path)
    if error.errno == errno.ENOENT:
        return NotFound(f"cannot {doing} {name}: no such file or folder")
    if error.errno == errno.EEXIST:
        return already_exists(path)
    reason = error.strerror or str(error)
    hint = _HINTS.get(error.errno or 0, "")
    return DataPathError(f"cannot {doing} {name}: {reason}", hint=hint)


def already_exists(path: str | os.PathLike[str]) -> AlreadyExists:
    """The error for a target that would have to be overwritten."""
    return AlreadyExists(
        f"{os.fspath(path)} already exists",
        hint="Choose another name, or say that it may be overwritten.",
    )
