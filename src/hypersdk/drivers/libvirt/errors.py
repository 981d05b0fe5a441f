"""libvirt's errors as ours, in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType

import libvirt

from hypersdk.model.errors import (
    AlreadyExists,
    GuestAgentMissing,
    HyperSDKError,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    InvalidState,
    LimitExceeded,
    NotFound,
    OperationTimeout,
)

_KINDS: dict[int, type[HyperSDKError]] = {
    libvirt.VIR_ERR_NO_DOMAIN: InstanceNotFound,
    libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT: NotFound,
    libvirt.VIR_ERR_NO_DOMAIN_CHECKPOINT: NotFound,
    libvirt.VIR_ERR_NO_STORAGE_POOL: NotFound,
    libvirt.VIR_ERR_NO_STORAGE_VOL: NotFound,
    libvirt.VIR_ERR_NO_NETWORK: NotFound,
    libvirt.VIR_ERR_DEVICE_MISSING: NotFound,
    libvirt.VIR_ERR_DOM_EXIST: AlreadyExists,
    libvirt.VIR_ERR_NETWORK_EXIST: AlreadyExists,
    libvirt.VIR_ERR_STORAGE_VOL_EXIST: AlreadyExists,
    libvirt.VIR_ERR_OPERATION_INVALID: InvalidState,
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE: GuestAgentMissing,
    libvirt.VIR_ERR_AGENT_UNSYNCED: GuestAgentMissing,
    libvirt.VIR_ERR_OPERATION_TIMEOUT: OperationTimeout,
    libvirt.VIR_ERR_NO_CONNECT: HypervisorUnreachable,
    libvirt.VIR_ERR_INVALID_CONN: HypervisorUnreachable,
    libvirt.VIR_ERR_RPC: HypervisorUnreachable,
    libvirt.VIR_ERR_RESOURCE_BUSY: LimitExceeded,
}

_HINTS: dict[int, str] = {
    libvirt.VIR_ERR_AUTH_FAILED: "See who may connect: https://libvirt.org/auth.html",
    libvirt.VIR_ERR_ACCESS_DENIED: "This user may not do it; see libvirt's access control.",
    libvirt.VIR_ERR_RPC: "See whether libvirtd runs: systemctl status libvirtd virtqemud",
    libvirt.VIR_ERR_NO_CONNECT: "See whether the URI is right: virsh -c URI list",
}


def translated(error: libvirt.libvirtError, doing: str) -> HyperSDKError:
    """``error`` as ours. ``doing``: what was tried, on what: "start 'web'"."""
    code = error.get_error_code()
    kind = _KINDS.get(code, HypervisorError)
    if code == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_error_domain() == libvirt.VIR_FROM_RPC:
        kind, code = HypervisorUnreachable, libvirt.VIR_ERR_RPC
    return kind(f"cannot {doing}: {complaint(error)}", hint=_HINTS.get(code or 0, ""))


def complaint(error: libvirt.libvirtError) -> str:
    """libvirt's own words, on one line."""
    return " ".join((error.get_error_message() or str(error)).split())


@contextlib.contextmanager
def native(doing: str) -> Iterator[None]:
    """Raise ours for libvirt's errors inside the block."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise translated(error, doing) from error


class Unless:
    """Leaves its block, as if all was well, at one of these codes of libvirt's errors: what was
    listed may be gone by now. A lost connection must not look like that. ::

        with Unless(libvirt.VIR_ERR_NO_DOMAIN):
            documents.append(domain.XMLDesc())
    """

    def __init__(self, *codes: int) -> None:
        self._codes = codes

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return isinstance(error, libvirt.libvirtError) and error.get_error_code() in self._codes
