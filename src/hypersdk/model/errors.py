"""Every error this project raises on purpose.

::

    HyperSDKError                 exit 1   HTTP 500
    ├── InvalidInput              exit 2   HTTP 400   the caller asked for something malformed
    │   └── IdempotencyMismatch            HTTP 422   a key that belongs to another request
    ├── NotFound                           HTTP 404
    │   ├── PointNotFound                             no such restore point or disk in it
    │   └── InstanceNotFound
    ├── Conflict                           HTTP 409   what is there forbids the request
    │   ├── AlreadyExists                             would overwrite
    │   ├── InvalidState                              the instance is in the wrong state
    │   ├── PreconditionFailed             HTTP 412   it was changed by somebody else meanwhile
    │   └── RequestRunning                 HTTP 409   retryable: the same request, a moment ago
    ├── MissingRequirement        exit 4   HTTP 503   a program or library is not installed
    ├── PartialFailure            exit 3   HTTP 207   some disks or instances failed, each named
    ├── Interrupted               exit 130 HTTP 499   cancelled by the user
    ├── AccessError                        HTTP 403
    │   ├── NotAuthenticated               HTTP 401   nobody we know
    │   ├── NotAllowed                     HTTP 403   known, but may not
    │   └── QuotaExceeded                  HTTP 403   its tenant has used up what it may
    ├── TooManyRequests                    HTTP 429   retryable: slow down
    ├── TooLarge                           HTTP 413
    ├── DatabaseError                      HTTP 500   the daemon's own database
    │   └── DatabaseUnavailable            HTTP 503   retryable
    ├── DaemonError                        HTTP 502   what a client of the daemon meets
    │   ├── DaemonUnreachable              HTTP 503   retryable
    │   └── DaemonRefused                             it answered with an error; its status is kept
    ├── DataPathError                      HTTP 502   bytes could not be read or written
    │   ├── ImageRefused                   HTTP 422   a corrupt, hostile or escaping image
    │   └── EndpointTimeout                HTTP 504   retryable: the other end went silent
    ├── StoreError                         HTTP 502   the place where a repository lives failed
    │   ├── StoreUnavailable               HTTP 503   retryable
    │   ├── StoreDenied                    HTTP 403   credentials, permissions, read-only
    │   ├── StoreFull                      HTTP 507
    │   ├── ObjectMissing                  HTTP 404
    │   └── ObjectExists                   HTTP 409
    ├── RepositoryError
    │   ├── NotARepository                 HTTP 404
    │   ├── FormatUnsupported                         written by a later version
    │   ├── KeyRequired                    HTTP 403   no key, a wrong one, or one without the right
    │   ├── Damaged                                   stored bytes are not what was written
    │   └── LeaseLost                      HTTP 409   retryable: run the backup again
    └── HypervisorError                    HTTP 502
        ├── HypervisorUnreachable          HTTP 503   retryable: no connection, or a lost reply
        │   └── CircuitOpen                HTTP 503   retryable: it failed often and is left alone
        ├── HypervisorBusy                 HTTP 503   retryable: refused before anything was begun
        ├── HypervisorDenied               HTTP 403   who we are may not do it
        ├── HypervisorUntrusted                       its certificate is not one that we trust
        ├── NotSupported                   HTTP 501   this hypervisor cannot do it
        ├── OperationTimeout               HTTP 504   the guest or hypervisor did not do it in time
        │   └── NoAnswer                              the hypervisor itself left a call unanswered
        ├── GuestAgentMissing              HTTP 409   no agent answers inside the guest
        └── LimitExceeded                  HTTP 507   the hypervisor has no room

A message says what happened and on what; ``hint`` says what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class HyperSDKError(Exception):
    """Root of the tree. ``str(error)`` is the message, followed by the hint when there is one."""

    #: Exit status of a command that ends with this error.
    exit_code: ClassVar[int] = 1
    #: Status of an HTTP response that reports this error.
    http_status: ClassVar[int] = 500
    #: True when the same call may succeed later without anyone changing anything.
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class InvalidInput(HyperSDKError):
    """The caller asked for something malformed: a flag, a size, a URL, a name."""

    exit_code = 2
    http_status = 400


class IdempotencyMismatch(InvalidInput):
    """An ``Idempotency-Key`` that belongs to another request."""

    http_status = 422


class NotFound(HyperSDKError):
    """What was named is not there."""

    http_status = 404


class PointNotFound(NotFound):
    """No such restore point in the repository, or no such disk in the point."""


class InstanceNotFound(NotFound):
    """No such instance on the hypervisor."""


class Conflict(HyperSDKError):
    """The request is well formed but what is there forbids it."""

    http_status = 409


class AlreadyExists(Conflict):
    """The request would overwrite something."""


class InvalidState(Conflict):
    """The instance is not in a state that allows the operation."""


class PreconditionFailed(Conflict):
    """Somebody else changed it since the caller looked."""

    http_status = 412


class RequestRunning(Conflict):
    """A request with this ``Idempotency-Key`` is being carried out; its answer comes later."""

    retryable = True


class MissingRequirement(HyperSDKError):
    """A program or library that this operation needs is not installed."""

    exit_code = 4
    http_status = 503


class PartialFailure(HyperSDKError):
    """Some parts succeeded, some failed; ``failures`` maps each failed part to its error."""

    exit_code = 3
    http_status = 207

    def __init__(self, message: str, failures: dict[str, HyperSDKError], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.failures = failures
        self.args = (message, failures)  # what pickle calls the class with


class Interrupted(HyperSDKError):
    """The user cancelled. What was already stored is kept and reused by the next run."""

    exit_code = 130
    http_status = 499


class AccessError(HyperSDKError):
    """Who asks may not have it."""

    http_status = 403


class NotAuthenticated(AccessError):
    """No credentials, or wrong or expired ones."""

    http_status = 401


class NotAllowed(AccessError):
    """Known, but its role, scope or tenant does not allow it."""


class QuotaExceeded(AccessError):
    """The tenant has used up what it may use."""


class TooManyRequests(HyperSDKError):
    """More than what is let through; ``after`` seconds later it may be again."""

    http_status = 429
    retryable = True

    def __init__(self, message: str, *, hint: str = "", after: float = 1.0) -> None:
        super().__init__(message, hint=hint)
        self.after = after


class TooLarge(HyperSDKError):
    """A request with a longer body than its route takes."""

    http_status = 413


class DatabaseError(HyperSDKError):
    """The daemon's own database refused something."""


class DatabaseUnavailable(DatabaseError):
    """The daemon's own database does not answer, or has no room."""

    http_status = 503
    retryable = True


class DaemonError(HyperSDKError):
    """What a client of the daemon meets."""

    http_status = 502


class DaemonUnreachable(DaemonError):
    """No daemon answers at the URL."""

    http_status = 503
    retryable = True


class DaemonRefused(DaemonError):
    """The daemon answered with an error: ``status`` of HTTP, ``kind`` the class of its error."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0, kind: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.kind = kind


class DataPathError(HyperSDKError):
    """Bytes could not be read from a source or written to a sink."""

    http_status = 502


class ImageRefused(DataPathError):
    """A disk image that is corrupt, of an unknown format, hostile, or refers to files outside."""

    http_status = 422


class EndpointTimeout(DataPathError):
    """The other end of a connection stopped answering."""

    http_status = 504
    retryable = True


class StoreError(HyperSDKError):
    """The place where a repository lives failed."""

    http_status = 502


class StoreUnavailable(StoreError):
    """The place does not answer, or asks to slow down; the same call may work later."""

    http_status = 503
    retryable = True


class StoreDenied(StoreError):
    """Credentials, permissions, or a read-only place."""

    http_status = 403


class StoreFull(StoreError):
    """No space or quota left."""

    http_status = 507


class ObjectMissing(StoreError):
    """No object under this key."""

    http_status = 404


class ObjectExists(StoreError):
    """``put_if_absent`` found an object under this key."""

    http_status = 409


class RepositoryError(HyperSDKError):
    """The repository cannot do what was asked."""


class NotARepository(RepositoryError):
    """There is no repository at this place."""

    http_status = 404


class FormatUnsupported(RepositoryError):
    """The repository was written by a later version, or needs a feature this one lacks."""


class KeyRequired(RepositoryError):
    """No key was given, it opens no slot, or it lacks the right (a writer cannot read)."""

    http_status = 403


class Damaged(RepositoryError):
    """Stored bytes are not what was written: a checksum, tag or id does not match."""


class LeaseLost(RepositoryError):
    """The writer was away so long that a collection may have acted; nothing was committed."""

    http_status = 409
    retryable = True


class HypervisorError(HyperSDKError):
    """The hypervisor refused or failed an operation."""

    http_status = 502


class HypervisorUnreachable(HypervisorError):
    """No connection to the hypervisor."""

    http_status = 503
    retryable = True


class CircuitOpen(HypervisorUnreachable):
    """The hypervisor failed so often that it is not asked again before some time has passed."""


class HypervisorBusy(HypervisorError):
    """Refused for now, before anything was begun: the same call may be made again as it was."""

    http_status = 503
    retryable = True


class HypervisorDenied(HypervisorError):
    """The user, socket or credentials do not have the right."""

    http_status = 403


class HypervisorUntrusted(HypervisorError):
    """It shows a certificate that is not the pinned one, or that nobody vouches for."""


class NotSupported(HypervisorError):
    """A part, or an aspect of one, that this hypervisor does not have; its capabilities say so."""

    http_status = 501


class OperationTimeout(HypervisorError):
    """It was begun and did not end in time; the instance is as the hypervisor shows it."""

    http_status = 504


class NoAnswer(OperationTimeout):
    """A call was given up: the hypervisor did not answer within the call's deadline. Unlike a guest
    that does not obey, this speaks about the hypervisor. The call may still take effect."""


class GuestAgentMissing(HypervisorError):
    """No agent is installed in the guest, or it does not answer."""

    http_status = 409


class LimitExceeded(HypervisorError):
    """The hypervisor has no room for the request."""

    http_status = 507
