"""Docker's errors as ours, in one place."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException

from docker.errors import APIError, DockerException
from requests.exceptions import RequestException, Timeout
from urllib3.exceptions import HTTPError

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
)

#: Docker has few status codes; its words tell more. The first that fits counts.
_WORDS: tuple[tuple[str, type[HyperSDKError], str], ...] = (
    ("no such container", InstanceNotFound, ""),
    ("no such exec instance", InstanceNotFound, ""),
    ("port is already allocated", AlreadyExists, "Choose another port of the host."),
    ("address already in use", AlreadyExists, "Choose another port of the host."),
    ("is already in use by container", AlreadyExists, "Choose another name."),
    ("already exists", AlreadyExists, "Choose another name."),
    ("already in progress", HypervisorBusy, "Wait until it ends."),
    ("no space left", LimitExceeded, "Free space where the engine keeps its data."),
    ("disk quota exceeded", LimitExceeded, "Free space where the engine keeps its data."),
    ("cannot allocate memory", LimitExceeded, ""),
    ("range of cpus", LimitExceeded, "Ask for no more processors than the host has."),
    ("non-overlapping ipv4", LimitExceeded, "Give the network an address of your own."),
    ("pool overlaps", AlreadyExists, "Choose another range of addresses."),
    ("minimum memory limit", InvalidInput, "Give it more memory."),
    ("no command specified", InvalidInput, "Give a command, or use an image that has one."),
    ("executable file not found", InvalidInput, "Check the command: there is no such program."),
    ("bind source path does not exist", InvalidInput, "Make the folder first."),
    ("is not running", InvalidState, "Start it first."),
    ("is paused", InvalidState, "Resume it first."),
    ("is not paused", InvalidState, ""),
    ("is in use", InvalidState, "Remove what uses it first."),
    ("is using", InvalidState, "Remove what uses it first."),
    ("being used", InvalidState, "Remove what uses it first."),
    ("has active endpoints", InvalidState, "Disconnect the containers first."),
    ("pre-defined network", InvalidInput, "The engine needs this network."),
)
#: For answers about which nothing better is known.
_HINTS: dict[type[HyperSDKError], str] = {
    InstanceNotFound: "See what there is: docker ps --all",
    NotFound: "See what there is: docker images, docker volume ls, docker network ls",
    InvalidInput: "Change what the engine complains about.",
    InvalidState: "See what uses it: docker ps --all",
    HypervisorBusy: "Try again in a moment.",
    HypervisorDenied: "See who may use the engine, and its authorization plugins.",
    LimitExceeded: "Ask for less, or make room.",
    NotSupported: "A later engine may do it.",
    HypervisorError: "See the engine's log: journalctl --unit docker",
}
_STATUS: dict[int, type[HyperSDKError]] = {
    HTTPStatus.BAD_REQUEST: InvalidInput,
    HTTPStatus.FORBIDDEN: HypervisorDenied,
    HTTPStatus.UNAUTHORIZED: HypervisorDenied,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: InvalidState,
    HTTPStatus.NOT_IMPLEMENTED: NotSupported,
    HTTPStatus.SERVICE_UNAVAILABLE: HypervisorBusy,
    HTTPStatus.INSUFFICIENT_STORAGE: LimitExceeded,
}
#: Long ids say nothing to a person.
_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def refused(status: int, said: str, doing: str) -> HyperSDKError:
    """An answer of the engine that is an error. ``doing``: what was tried: "start 'web'"."""
    words = _ID.sub(r"\1", " ".join(said.split()))
    low = words.lower()
    for part, kind, hint in _WORDS:
        if part in low:
            return kind(f"cannot {doing}: {words}", hint=hint or _HINTS.get(kind, ""))
    kind = _STATUS.get(status, HypervisorError)
    return kind(f"cannot {doing}: {words}", hint=_HINTS.get(kind, ""))


def translated(error: Exception, doing: str) -> HyperSDKError:
    """``error`` of the SDK, of what it is made of, or of a socket, as ours."""
    if isinstance(error, APIError) and error.response is not None:
        return refused(error.response.status_code, str(error.explanation or error), doing)
    root = _root(error)
    if isinstance(root, PermissionError):
        return HypervisorDenied(
            f"cannot {doing}: the engine's socket does not let us in",
            hint="Run it as root, or as a member of the group 'docker'.",
        )
    if isinstance(error, Timeout) or isinstance(root, TimeoutError):
        return HypervisorUnreachable(
            f"cannot {doing}: the engine did not answer in time",
            hint="See whether it lives: docker info",
        )
    if isinstance(root, RequestException | OSError | HTTPException | HTTPError):
        return HypervisorUnreachable(
            f"cannot {doing}: no connection to the engine ({_said(root)})",
            hint="See whether dockerd runs, and where it listens: docker context ls",
        )
    return HypervisorError(f"cannot {doing}: {_said(error)}", hint=_HINTS[HypervisorError])


@contextlib.contextmanager
def native(doing: str) -> Iterator[None]:
    """Raise ours for the errors of Docker's SDK inside the block."""
    try:
        yield
    except HyperSDKError:
        raise
    except (DockerException, RequestException, OSError) as error:
        raise translated(error, doing) from error


def _root(error: BaseException) -> BaseException:
    """What it began with: the SDK wraps errors of sockets several times, in arguments as well."""
    for inner in (error.__cause__, *error.args):
        if isinstance(inner, BaseException) and inner is not error:
            return _root(inner)
    reason = getattr(error, "reason", None)
    return _root(reason) if isinstance(reason, BaseException) else error


def _said(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
