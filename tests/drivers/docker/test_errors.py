from __future__ import annotations

from http.client import RemoteDisconnected

import pytest
from docker.errors import DockerException
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ReadTimeout
from urllib3.exceptions import ProtocolError

from hypersdk.drivers.docker.errors import native, refused
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    HypervisorBusy,
    HypervisorDenied,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
)


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (404, "No such container: web", InstanceNotFound),
        (404, "No such image: lab:2", NotFound),
        (409, 'The container name "/web" is already in use by container "ab"', AlreadyExists),
        (409, "Container ab is not running", InvalidState),
        (409, "removal of container ab is already in progress", HypervisorBusy),
        (400, "Range of CPUs is from 0.01 to 2.00", LimitExceeded),
        (400, "something malformed", InvalidInput),
        (403, "authorization denied by plugin", HypervisorDenied),
        (500, "write /x: no space left on device", LimitExceeded),
        (500, "it broke", HypervisorError),
    ],
)
def test_answers_of_the_engine(status: int, words: str, kind: type[HyperSDKError]) -> None:
    error = refused(status, words, "start 'web'")
    assert type(error) is kind
    assert error.message == f"cannot start 'web': {words}"


def test_long_ids_are_cut() -> None:
    assert "0123456789ab:" in refused(500, "0123456789abcdef" * 4 + ": it broke", "do it").message


@pytest.mark.parametrize(
    ("inner", "kind"),
    [
        (PermissionError(13, "Permission denied"), HypervisorDenied),
        (FileNotFoundError(2, "No such file or directory"), HypervisorUnreachable),
        (ConnectionRefusedError(111, "Connection refused"), HypervisorUnreachable),
        (RemoteDisconnected("closed without response"), HypervisorUnreachable),
    ],
)
def test_what_the_sdk_wraps_around_errors_of_sockets(
    inner: Exception, kind: type[HyperSDKError]
) -> None:
    middle = RequestsConnectionError(ProtocolError("Connection aborted.", inner))
    with pytest.raises(kind) as raised, native("list"):
        raise DockerException("Error while fetching server API version") from middle
    assert type(raised.value) is kind
    assert raised.value.hint


def test_silence_is_unreachable() -> None:
    with pytest.raises(HypervisorUnreachable, match="in time"), native("list"):
        raise ReadTimeout


def test_ours_pass() -> None:
    error = InvalidInput("as it was")
    with pytest.raises(InvalidInput) as raised, native("list"):
        raise error
    assert raised.value is error
