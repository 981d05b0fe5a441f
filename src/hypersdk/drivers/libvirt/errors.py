"""libvirt's errors as ours, in one place."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from types import TracebackType

import libvirt

from hypersdk.model.errors import (
    AlreadyExists,
    GuestAgentMissing,
    HyperSDKError,
    HypervisorBusy,
    HypervisorDenied,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    InvalidState,
    LimitExceeded,
    MissingRequirement,
    NotFound,
    NotSupported,
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
    libvirt.VIR_ERR_RESOURCE_BUSY: HypervisorBusy,
    libvirt.VIR_ERR_AUTH_FAILED: HypervisorDenied,
    libvirt.VIR_ERR_AUTH_CANCELLED: HypervisorDenied,
    libvirt.VIR_ERR_AUTH_UNAVAILABLE: HypervisorDenied,
    libvirt.VIR_ERR_ACCESS_DENIED: HypervisorDenied,
    libvirt.VIR_ERR_OPERATION_DENIED: HypervisorDenied,
    libvirt.VIR_ERR_NO_SUPPORT: NotSupported,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED: NotSupported,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED: NotSupported,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: NotSupported,
    libvirt.VIR_ERR_NO_MEMORY: LimitExceeded,
}

#: What libvirt, QEMU and qemu-img have no error code of their own for. The first that is found.
_WORDS: tuple[tuple[str, type[HyperSDKError]], ...] = (
    # Another call about this domain goes on and took longer than the 30 s that libvirt waits.
    ("cannot acquire state change lock", HypervisorBusy),
    ("Cannot check QEMU binary", MissingRequirement),
    ("unable to find any emulator", MissingRequirement),
    ("No space left on device", LimitExceeded),
    ("Disk quota exceeded", LimitExceeded),
    ("Cannot allocate memory", LimitExceeded),
    ("already exists with uuid", AlreadyExists),
    ('Failed to get "write" lock', InvalidState),
    ("Permission denied (publickey", HypervisorDenied),
)
_NUMBERS: dict[int, type[HyperSDKError]] = {
    errno.ENOSPC: LimitExceeded,
    errno.EDQUOT: LimitExceeded,
    errno.EFBIG: LimitExceeded,
    errno.ENOMEM: LimitExceeded,
}

#: What to do next, where the caller does not say it better.
_HINTS: dict[type[HyperSDKError], str] = {
    InstanceNotFound: "See which there are: virsh list --all",
    NotFound: "See what there is with virsh: snapshot-list, pool-list --all, net-list --all.",
    AlreadyExists: "Choose another name, or remove the other first.",
    InvalidState: "See its state: virsh domstate --reason, and who else has its disks open.",
    GuestAgentMissing: "Install and start qemu-guest-agent in the guest.",
    OperationTimeout: "See its state before trying again: virsh domstate --reason",
    HypervisorUnreachable: "See whether libvirtd runs: systemctl status libvirtd virtqemud",
    HypervisorBusy: "Something else is done with it: virsh domjobinfo. Try again later.",
    HypervisorDenied: "See who may connect, and do what: https://libvirt.org/auth.html",
    NotSupported: "A newer libvirt or QEMU may; see virsh version.",
    LimitExceeded: "Make room on the host, or ask for less.",
    MissingRequirement: "Install QEMU for this architecture on the host: qemu-system-x86.",
    HypervisorError: "The host's log says more: journalctl -u libvirtd -u virtqemud",
}


def translated(error: libvirt.libvirtError, doing: str) -> HyperSDKError:
    """``error`` as ours. ``doing``: what was tried, on what: "start 'web'"."""
    kind = _kind(error)
    return kind(f"cannot {doing}: {complaint(error)}", hint=_HINTS[kind])


def _kind(error: libvirt.libvirtError) -> type[HyperSDKError]:
    words = complaint(error)
    for known, kind in _WORDS:
        if known in words:
            return kind
    code = error.get_error_code()
    connecting = error.get_error_domain() == libvirt.VIR_FROM_RPC
    if code == libvirt.VIR_ERR_INTERNAL_ERROR and connecting:  # "client socket is closed"
        return HypervisorUnreachable
    if code != libvirt.VIR_ERR_SYSTEM_ERROR:
        return _KINDS.get(code, HypervisorError)
    number = error.get_int1()
    if connecting:
        denied = number in {errno.EACCES, errno.EPERM}
        return HypervisorDenied if denied else HypervisorUnreachable
    return _NUMBERS.get(number, HypervisorError)


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
