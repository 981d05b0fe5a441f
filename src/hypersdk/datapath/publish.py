"""A file appears under its final name complete and durable, or not at all.

Bytes are written under a temporary name in the same folder (``.<name>.<random>.partial``), so
that the last step is a rename inside one file system.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from hypersdk.datapath.failures import already_exists, from_os
from hypersdk.model.errors import DataPathError

#: What file systems answer that know no hard links (FAT, some network shares).
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
#: Longest file name in bytes; Linux file systems agree on it.
_NAME_MAX = 255


def partial_name(target: Path) -> Path:
    """A new temporary name beside ``target``, within the length a file name may have."""
    suffix = f".{secrets.token_hex(4)}.partial"
    name = os.fsencode(target.name)[: _NAME_MAX - len(suffix) - 1]
    return target.with_name(f".{os.fsdecode(name)}{suffix}")


def check_target(target: Path, overwrite: bool) -> None:
    """Refuse early what `publish` would refuse after hours of copying."""
    if target.is_dir():
        raise DataPathError(f"{target} is a folder", hint="Give the name of a file in it.")
    if target.exists() and not target.is_file():
        raise DataPathError(
            f"{target} is not a regular file", hint="A device is written in place, not replaced."
        )
    if not overwrite and os.path.lexists(target):
        raise already_exists(target)


def publish(temporary: Path, target: Path, overwrite: bool) -> None:
    """Give a file that is already durable its final name, durably.

    Without ``overwrite`` an existing target is never replaced, also when it appears during the
    call; only on file systems without hard links a small window remains.
    Raises AlreadyExists or DataPathError; ``temporary`` is then still there.
    """
    try:
        if overwrite:
            os.replace(temporary, target)
        else:
            _rename_to_new(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        raise from_os(error, target, "create") from error


def _rename_to_new(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise already_exists(target) from error
        os.rename(temporary, target)
    else:
        os.unlink(temporary)


def sync_folder(folder: Path) -> None:
    """Make names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
