"""gRPC's errors as ours, in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import cast

import grpc

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
    NotSupported,
    OperationTimeout,
)

_Code = grpc.StatusCode
_KINDS: dict[grpc.StatusCode, type[HyperSDKError]] = {
    _Code.NOT_FOUND: NotFound,
    _Code.ALREADY_EXISTS: AlreadyExists,
    _Code.FAILED_PRECONDITION: InvalidState,
    _Code.INVALID_ARGUMENT: InvalidInput,
    _Code.OUT_OF_RANGE: InvalidInput,
    _Code.UNAVAILABLE: HypervisorUnreachable,
    _Code.CANCELLED: HypervisorUnreachable,  # not by us: that is Interrupted
    _Code.DEADLINE_EXCEEDED: OperationTimeout,
    _Code.PERMISSION_DENIED: HypervisorDenied,
    _Code.UNAUTHENTICATED: HypervisorDenied,
    _Code.RESOURCE_EXHAUSTED: LimitExceeded,
    _Code.ABORTED: HypervisorBusy,
    _Code.UNIMPLEMENTED: NotSupported,
}
#: What containerd says when a shim ends while it is asked.
_CLOSED = "ttrpc: closed"
#: What containerd and runc say with the status UNKNOWN, which means "some error".
_SAYINGS: tuple[tuple[str, type[HyperSDKError], str], ...] = (
    ("no space left on device", LimitExceeded, "Make room on the disk that containerd is on."),
    ("disk quota exceeded", LimitExceeded, "Make room on the disk that containerd is on."),
    ("cannot allocate memory", LimitExceeded, "Stop something, or ask for less."),
    ("device or resource busy", HypervisorBusy, "Try again."),
    (_CLOSED, HypervisorUnreachable, "The shim of the container has ended."),
)
_HINTS: dict[type[HyperSDKError], str] = {
    HypervisorUnreachable: "See whether containerd runs: systemctl status containerd",
    HypervisorBusy: "Try again.",
    HypervisorDenied: "Run it as root.",
    InvalidInput: "See what containerd says, and change that.",
    InvalidState: "Look at its state: another program may have changed it.",
    InstanceNotFound: "It was deleted meanwhile; list the instances.",
    NotFound: "It was deleted meanwhile; list what there is.",
    AlreadyExists: "Take another name, or delete what has it.",
    NotSupported: "This containerd is too old for it, or was built without.",
    OperationTimeout: "See whether containerd or its disk is overloaded, and try again.",
    LimitExceeded: "Make room on the host.",
}
_DEFAULT_HINT = "See containerd's log: journalctl -u containerd"


def translated(
    error: grpc.RpcError, doing: str, missing: type[HyperSDKError] = NotFound
) -> HyperSDKError:
    """``error`` as ours. ``doing``: what was tried, on what: "start 'web'". ``missing``: what it
    means that something is not there."""
    code, words = status(error), complaint(error)
    kind = missing if code is _Code.NOT_FOUND else _KINDS.get(code, HypervisorError)
    hint = _HINTS.get(kind, _DEFAULT_HINT)
    if code in {_Code.UNKNOWN, _Code.INTERNAL, _Code.FAILED_PRECONDITION}:
        for saying, other, advice in _SAYINGS:
            if saying in words.lower():
                kind, hint = other, advice
                break
    return kind(f"cannot {doing}: {words}", hint=hint)


def status(error: grpc.RpcError) -> grpc.StatusCode:
    code = _answer(error).code()
    # Where a shim was asked, containerd passes its own deadline on as an error like any other.
    if code is _Code.UNKNOWN and "context deadline exceeded" in (_answer(error).details() or ""):
        return _Code.DEADLINE_EXCEEDED
    return code if isinstance(code, grpc.StatusCode) else _Code.UNKNOWN


def complaint(error: grpc.RpcError) -> str:
    """containerd's own words, on one line."""
    return " ".join((_answer(error).details() or status(error).name).split())


def _answer(error: grpc.RpcError) -> grpc.Call:
    """What calls raise is their answer as well, says the library's documentation."""
    return cast("grpc.Call", error)


@contextlib.contextmanager
def native(doing: str, missing: type[HyperSDKError] = NotFound) -> Iterator[None]:
    """Raise ours for gRPC's errors inside the block."""
    try:
        yield
    except grpc.RpcError as error:
        raise translated(error, doing, missing) from error


def is_missing(error: grpc.RpcError) -> bool:
    """What was named is not there: gone meanwhile, or never there.

    So it is when the shim closes its connection during the call: another client has cleared the
    task away.
    """
    code = status(error)
    return code is _Code.NOT_FOUND or (code is _Code.UNKNOWN and _CLOSED in complaint(error))


class Gone(contextlib.AbstractContextManager[None]):
    """Leaves its block, as if all was well, when what was named is not there any more."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        return isinstance(error, grpc.RpcError) and is_missing(error)
