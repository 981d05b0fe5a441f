from __future__ import annotations

import errno

import pytest

from hypersdk.drivers.qmp.errors import from_os, from_words, native
from hypersdk.model.errors import (
    AlreadyExists,
    Conflict,
    DataPathError,
    HyperSDKError,
    HypervisorDenied,
    HypervisorError,
    HypervisorUnreachable,
    InvalidState,
    LimitExceeded,
    NotFound,
)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ('Failed to get "write" lock', InvalidState),
        ("Could not open 'x': No space left on device", LimitExceeded),
        ("cannot set up guest memory 'pc.ram': Cannot allocate memory", LimitExceeded),
        ("Could not access KVM kernel module: Permission denied", HypervisorDenied),
        ("Failed to find an available port: Address already in use", Conflict),
        ("Could not open '/x': No such file or directory", NotFound),
        ("Duplicate nodes with node-name='vda'", AlreadyExists),
        ("something new", HypervisorError),
    ],
)
def test_words_of_qemu_become_classes(words: str, kind: type[HyperSDKError]) -> None:
    error = from_words(words, "start 'web'")
    assert type(error) is kind
    assert "start 'web'" in error.message
    assert error.hint


def test_errors_of_files_and_sockets() -> None:
    assert type(from_os(OSError(errno.ENOSPC, "full"), "x")) is LimitExceeded
    assert type(from_os(OSError(errno.EACCES, "no"), "x")) is HypervisorDenied
    assert type(from_os(OSError(errno.ECONNREFUSED, "no"), "x")) is HypervisorUnreachable
    assert type(from_os(OSError(errno.EIO, "bad"), "x")) is HypervisorError
    with pytest.raises(LimitExceeded), native("write"):
        raise DataPathError("cannot create x: No space left on device")
    with pytest.raises(DataPathError, match="torn"), native("write"):
        raise DataPathError("torn")
