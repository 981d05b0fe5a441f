"""Native errors of the mock hypervisor, which are those of its files, become ours here."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from hypersdk.model.errors import HypervisorError, LimitExceeded

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def translate(error: OSError, doing: str) -> HypervisorError:
    """``doing`` says what was attempted and on what: ``write to disk 'vda' of 'web'``."""
    problem = f"cannot {doing}: {error.strerror or error}"
    if error.errno in _NO_ROOM:
        return LimitExceeded(problem, hint="Free some space where the mock hypervisor lives.")
    if error.errno in _DENIED:
        return HypervisorError(problem, hint=f"Check the permissions of {error.filename or 'it'}.")
    return HypervisorError(problem)


@contextmanager
def native(doing: str) -> Iterator[None]:
    """Translate what the operating system raises inside."""
    try:
        yield
    except OSError as error:
        raise translate(error, doing) from error
