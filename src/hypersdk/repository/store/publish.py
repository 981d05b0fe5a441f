"""Give a finished temporary file its final name without ever replacing what has that name.

Three ways, from the best to the one that works everywhere:

1. a hard link: atomic and exclusive, also between two machines on NFS;
2. ``renameat2(RENAME_NOREPLACE)``: atomic and exclusive where the filesystem knows it;
3. look, then rename: two writers that race for one name within that instant could replace one
   another. Only filesystems with neither of the above (exFAT, some FUSE) come here. The names
   of packs are derived from their content and the others contain random bits, so two writers
   do not meet there in practice.
"""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from typing import Any

#: What a filesystem without hard links, or with an exhausted link count, answers.
_NO_LINK = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
#: What a kernel or filesystem without RENAME_NOREPLACE answers.
_NO_EXCLUSIVE_RENAME = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def publish(temporary: str, final: str) -> None:
    """Make ``temporary`` visible as ``final``; raises FileExistsError when the name is taken.

    The temporary name may or may not be gone afterwards.
    """
    try:
        os.link(temporary, final)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
    else:
        return
    try:
        rename_exclusively(temporary, final)
    except OSError as error:
        if error.errno not in _NO_EXCLUSIVE_RENAME:
            raise
    else:
        return
    look_and_rename(temporary, final)


def rename_exclusively(temporary: str, final: str) -> None:
    """``renameat2(RENAME_NOREPLACE)``; raises ENOSYS where the C library lacks it (musl)."""
    call = _renameat2()
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), final)
    arguments = (
        _AT_FDCWD,
        os.fsencode(temporary),
        _AT_FDCWD,
        os.fsencode(final),
        _RENAME_NOREPLACE,
    )
    if call(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), final)


def look_and_rename(temporary: str, final: str) -> None:
    """The last resort; see the module's text for the instant in which it could replace."""
    if os.path.lexists(final):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), final)
    os.rename(temporary, final)


@cache
def _renameat2() -> Any:
    """The function of the C library, or None."""
    library = ctypes.CDLL(None, use_errno=True)
    try:
        call = library.renameat2
    except AttributeError:
        return None
    call.argtypes = (
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    )
    call.restype = ctypes.c_int
    return call
