"""Errors of a real gRPC server that answers with each status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from hypersdk.drivers.containerd.address import Address
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.errors import Gone, native
from hypersdk.model import errors
from tests.drivers.containerd.answering import answering

Code = grpc.StatusCode


class _Failing:
    """Answers as it is told."""

    def __init__(self) -> None:
        self.code, self.words = Code.OK, ""

    def __call__(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(self.code, self.words)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[_Failing, Connection]]:
    servicer = _Failing()
    with answering(tmp_path / "s", servicer):
        connection = Connection(Address(f"{tmp_path}/s"))
        yield servicer, connection
        connection.close()


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (Code.NOT_FOUND, "gone", errors.NotFound),
        (Code.ALREADY_EXISTS, "there", errors.AlreadyExists),
        (Code.FAILED_PRECONDITION, "not so", errors.InvalidState),
        (Code.INVALID_ARGUMENT, "what", errors.InvalidInput),
        (Code.UNAVAILABLE, "away", errors.HypervisorUnreachable),
        (Code.DEADLINE_EXCEEDED, "slow", errors.OperationTimeout),
        (Code.PERMISSION_DENIED, "no", errors.HypervisorDenied),
        (Code.RESOURCE_EXHAUSTED, "full", errors.LimitExceeded),
        (Code.ABORTED, "later", errors.HypervisorBusy),
        (Code.UNIMPLEMENTED, "never", errors.NotSupported),
        (Code.UNKNOWN, "mkdir: No space left on device", errors.LimitExceeded),
        (Code.UNKNOWN, "fork/exec: cannot allocate memory", errors.LimitExceeded),
        (Code.UNKNOWN, "ttrpc: closed", errors.HypervisorUnreachable),
        (Code.UNKNOWN, "context deadline exceeded: unknown", errors.OperationTimeout),
        (Code.UNKNOWN, "something", errors.HypervisorError),
        (Code.DATA_LOSS, "something", errors.HypervisorError),
    ],
)
def test_each_status_has_its_class(
    server: tuple[_Failing, Connection],
    code: grpc.StatusCode,
    words: str,
    kind: type[errors.HyperSDKError],
) -> None:
    servicer, connection = server
    servicer.code, servicer.words = code, words
    with pytest.raises(kind) as caught, native("ask 'web'"):
        connection.change("version.Version", Empty(), timeout=20)
    assert type(caught.value) is kind
    assert caught.value.message == f"cannot ask 'web': {words}"
    assert caught.value.hint


def test_what_is_missing_may_be_an_instance(server: tuple[_Failing, Connection]) -> None:
    servicer, connection = server
    servicer.code, servicer.words = Code.NOT_FOUND, "gone"
    with pytest.raises(errors.InstanceNotFound), native("ask", errors.InstanceNotFound):
        connection.read("version.Version", Empty())


def test_gone_passes_only_what_is_missing(server: tuple[_Failing, Connection]) -> None:
    servicer, connection = server
    servicer.code, servicer.words = Code.NOT_FOUND, "gone"
    with Gone():
        connection.read("version.Version", Empty())
    servicer.code = Code.ABORTED
    with pytest.raises(grpc.RpcError), Gone():
        connection.read("version.Version", Empty())
