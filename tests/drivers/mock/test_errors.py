from __future__ import annotations

import errno
import os

import pytest

from hypersdk.drivers.mock.errors import native, translate
from hypersdk.model.errors import HypervisorError, LimitExceeded


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, LimitExceeded),
        (errno.EDQUOT, LimitExceeded),
        (errno.EACCES, HypervisorError),
        (errno.EIO, HypervisorError),
    ],
)
def test_each_native_error_has_one_of_ours(number: int, expected: type[HypervisorError]) -> None:
    error = translate(OSError(number, os.strerror(number), "/lab/x"), "write to disk 'vda'")
    assert type(error) is expected
    assert "write to disk 'vda'" in error.message
    assert os.strerror(number) in error.message


def test_native_keeps_the_cause() -> None:
    with pytest.raises(HypervisorError, match="cannot do it") as caught, native("do it"):
        raise OSError(errno.EIO, "broken")
    assert isinstance(caught.value.__cause__, OSError)
