"""Errors of QEMU, its monitor protocol and the operating system as ours, in one place.

QEMU's errors have a class and a sentence, and nearly all are of ``GenericError``: what they are is
told by their words.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator

from qemu.qmp import ExecInterruptedError, ExecuteError, QMPError

from hypersdk.model.errors import (
    AlreadyExists,
    Conflict,
    DataPathError,
    HyperSDKError,
    HypervisorDenied,
    HypervisorError,
    HypervisorUnreachable,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    MissingRequirement,
    NotFound,
)

_ROOM = "Free some space there, or choose a folder with more."
_ACCESS = "Run as a user with access to it, or change its permissions."
#: Words of QEMU → what they mean, and what to do.
_WORDS: tuple[tuple[str, type[HyperSDKError], str], ...] = (
    (r"No space left|Disk quota exceeded|File too large", LimitExceeded, _ROOM),
    (r"size is too large|too large for", LimitExceeded, "Ask for a smaller disk."),
    (r"Invalid SMP CPUs|The max CPUs supported", LimitExceeded, "Ask for fewer processors."),
    (r"maxmem|ram size too large|exceeds", LimitExceeded, "Ask for less memory."),
    (
        r"[Cc]annot allocate memory|Unable to allocate|cannot set up guest memory",
        LimitExceeded,
        "The host has not enough free memory: give the instance less, or stop others.",
    ),
    (
        r"no slot/function|No free PCI|PCI: slot .* not available|no available slot",
        LimitExceeded,
        "Stop the instance and start it again: it then gets new free sockets.",
    ),
    (
        r'Failed to get (shared )?"(write|consistent read)" lock',
        InvalidState,
        "Another program uses the disk: a backup, another instance, qemu-img. Wait for it.",
    ),
    (r"Could not access KVM kernel module: Permission", HypervisorDenied, _ACCESS),
    (r"Permission denied|Operation not permitted", HypervisorDenied, _ACCESS),
    (r"Address already in use", Conflict, "Find out who listens there: ss -lnp"),
    (r"No such file or directory", NotFound, "See whether it was moved or removed."),
    (r"Duplicate (ID|nodes?)|already exists|already in use", AlreadyExists, "Use another name."),
    (
        r"is not a valid parameter|Parameter .* expects|Invalid parameter",
        InvalidInput,
        "See what QEMU's documentation says about it.",
    ),
    (r"locked|Tray of device .* is not open", InvalidState, "The guest holds it: eject it there."),
)
_CLASSES: dict[str, tuple[type[HyperSDKError], str]] = {
    "CommandNotFound": (MissingRequirement, "Install QEMU 7.1 or later."),
    "DeviceNotFound": (NotFound, "It may have been detached just now: look again."),
}
#: For what is none of these.
_OTHER = "The reason is in QEMU's own words; its documentation explains them."
_GONE = "Look at the instance again: it may just have ended."
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_LOST = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN})


def from_words(words: str, doing: str) -> HyperSDKError:
    """An error for what QEMU said. ``doing``: what was tried, on what: "start 'web'"."""
    words = " ".join(words.split())
    for pattern, kind, hint in _WORDS:
        if re.search(pattern, words):
            return kind(f"cannot {doing}: {words}", hint=hint)
    return HypervisorError(f"cannot {doing}: {words}", hint=_OTHER)


def from_os(error: OSError, doing: str) -> HyperSDKError:
    """An error of a file, folder or socket of the hypervisor."""
    where = f" ({error.filename})" if error.filename else ""
    problem = f"cannot {doing}: {error.strerror or error}{where}"
    if error.errno in _NO_ROOM:
        return LimitExceeded(problem, hint=_ROOM)
    if error.errno in _DENIED:
        return HypervisorDenied(problem, hint=_ACCESS)
    if error.errno in _LOST:
        return HypervisorUnreachable(problem, hint=_GONE)
    if error.errno in (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN):
        return LimitExceeded(problem, hint="Raise the limits (ulimit -a), or stop others.")
    return HypervisorError(problem, hint="Look at that file, and at the kernel log (dmesg).")


def translated(error: QMPError, doing: str) -> HyperSDKError:
    """An error of the monitor as ours."""
    if isinstance(error, ExecuteError):
        if error.error_class in _CLASSES:
            kind, hint = _CLASSES[error.error_class]
            return kind(f"cannot {doing}: {error}", hint=hint)
        return from_words(str(error), doing)
    if isinstance(error, ExecInterruptedError):
        return HypervisorUnreachable(f"cannot {doing}: QEMU ended before it answered", hint=_GONE)
    return HypervisorUnreachable(f"cannot {doing}: {error}", hint=_GONE)


@contextlib.contextmanager
def native(doing: str) -> Iterator[None]:
    """Raise ours for native errors inside the block."""
    try:
        yield
    except QMPError as error:
        raise translated(error, doing) from error
    except OSError as error:
        raise from_os(error, doing) from error
    except DataPathError as error:  # of qemu-img
        found = from_words(error.message, doing)
        if type(found) in (LimitExceeded, HypervisorDenied, InvalidState):
            raise found from error
        raise
