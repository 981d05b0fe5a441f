"""With which status hyperexport ends: one per kind of failure, for scripts."""

from __future__ import annotations

from enum import IntEnum

import click

from hypersdk import (
    AlreadyExists,
    ConcernsFound,
    Damaged,
    HyperSDKError,
    HypervisorUnreachable,
    Interrupted,
    InvalidInput,
    MissingRequirement,
    NotFound,
    PartialFailure,
    StoreError,
)
from hypersdk.cli.failures import describe, tell
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.model.errors import (
    DaemonRefused,
    DaemonUnreachable,
    HypervisorDenied,
    HypervisorUntrusted,
    ImageRefused,
    KeyRequired,
)

PROGRAM = "hyperexport"


class Exit(IntEnum):
    """Every exit status."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    REQUIREMENT = 4
    NOT_FOUND = 5
    DENIED = 6
    UNREACHABLE = 7
    CONCERNS = 8
    DAMAGED = 9
    STORAGE = 10
    HANDOVER = 11
    EXISTS = 12
    UNTRUSTED = 13
    INTERRUPTED = 130


class HandoverFailed(HyperSDKError):
    """What was exported could not be handed over, or was not converted."""


class AllFailed(PartialFailure):
    """Nothing of what was asked for succeeded. Its status is that of the reason, if it is one."""


_STATUS: dict[type[BaseException], Exit] = {
    InvalidInput: Exit.USAGE,
    click.UsageError: Exit.USAGE,
    PartialFailure: Exit.PARTIAL,
    MissingRequirement: Exit.REQUIREMENT,
    NotFound: Exit.NOT_FOUND,
    HypervisorDenied: Exit.DENIED,
    KeyRequired: Exit.DENIED,
    HypervisorUnreachable: Exit.UNREACHABLE,
    HypervisorUntrusted: Exit.UNTRUSTED,
    DaemonUnreachable: Exit.UNREACHABLE,
    ConcernsFound: Exit.CONCERNS,
    Damaged: Exit.DAMAGED,
    ImageRefused: Exit.DAMAGED,
    StoreError: Exit.STORAGE,
    HandoverFailed: Exit.HANDOVER,
    AlreadyExists: Exit.EXISTS,
    Interrupted: Exit.INTERRUPTED,
    KeyboardInterrupt: Exit.INTERRUPTED,
    click.Abort: Exit.INTERRUPTED,
}


#: Status of HTTP that the daemon refused with.
_REFUSED = {
    400: Exit.USAGE,
    401: Exit.DENIED,
    403: Exit.DENIED,
    404: Exit.NOT_FOUND,
    422: Exit.USAGE,
}


def status_of(error: BaseException) -> Exit:
    """By the nearest kind that is in the table, else the general one.

    Of several instances that all failed for one reason it is that reason's.
    """
    if isinstance(error, PartialFailure) and error.failures:
        found = {status_of(failure) for failure in error.failures.values()}
        return found.pop() if isinstance(error, AllFailed) and len(found) == 1 else Exit.PARTIAL
    if isinstance(error, DaemonRefused) and error.status in _REFUSED:
        return _REFUSED[error.status]
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), Exit.FAILED)


def described(error: BaseException) -> Document:
    """The error as an object, with the exit status that hyperexport gives it."""
    document = describe(error)
    if isinstance(error, PartialFailure):
        document["failures"] = {part: described(each) for part, each in error.failures.items()}
    document["exit_code"] = int(status_of(error))
    document["hint"] = str(document["hint"]).replace(
        "a fault of hypersdk", "a fault of hyperexport"
    )
    return document


def complain(error: BaseException, terminal: Terminal) -> Exit:
    """Tell on stderr what failed; the status to end with."""
    tell(PROGRAM, error, described(error), terminal)
    return status_of(error)
