"""vSphere's faults, and those of the way there, as ours: one function, one table.

Rows are tried from top to bottom, so a fault stands above those it is a kind of.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from xml.parsers.expat import ExpatError

from pyVmomi import vim, vmodl

from hypersdk.model.errors import (
    AlreadyExists,
    GuestAgentMissing,
    HyperSDKError,
    HypervisorBusy,
    HypervisorDenied,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    MissingRequirement,
    NotFound,
    NotSupported,
    OperationTimeout,
)

_STATE = "See its state and its tasks in vCenter; start, stop or wait first."
_TOOLS = "Install VMware Tools in the guest, or start them."
_STOP_FIRST = "Stop the machine, or allow it to be changed while it runs."
_RELEASE = "This release of vSphere does not know the request."
_ROOM = "Free space on the datastore, or choose another one."


class UnreadableAnswer(Exception):
    """XML of which pyVmomi can make no objects: a type or a value that it does not know."""


#: Native error → ours, and what to do next.
TABLE: tuple[tuple[type[BaseException], type[HyperSDKError], str], ...] = (
    (vim.fault.NotAuthenticated, HypervisorUnreachable, "The session ended; try again."),
    (vim.fault.PasswordExpired, HypervisorDenied, "Set another password in vCenter first."),
    (vim.fault.InvalidLogin, HypervisorDenied,
     "Check the user (administrator@vsphere.local, with its domain) and the password."),
    (vim.fault.NoClientCertificate, HypervisorDenied, "Log in with user and password."),
    (vim.fault.NoPermission, HypervisorDenied, "Give the user a role with this privilege there."),
    (vim.fault.RestrictedVersion, HypervisorDenied,
     "The host's licence forbids changes by the API; free ESXi is read-only."),
    (vim.fault.LicenseExpired, HypervisorDenied, "Renew the licence."),
    (vim.fault.InvalidLicense, HypervisorDenied, "Assign a licence that has this feature."),
    (vim.fault.HostAccessRestrictedToManagementServer, HypervisorDenied,
     "The host is managed by a vCenter in lockdown mode: connect to the vCenter."),
    (vim.fault.TaskInProgress, HypervisorBusy, "Another task works on it; try again in a moment."),
    (vim.fault.ConcurrentAccess, HypervisorBusy, "Somebody else changed it; try again."),
    (vim.fault.TooManyConcurrentNativeClones, HypervisorBusy, "Try again in a moment."),
    (vim.fault.ToolsUnavailable, GuestAgentMissing, _TOOLS),
    (vim.fault.GuestOperationsUnavailable, GuestAgentMissing,
     _TOOLS),
    (vim.fault.DuplicateName, AlreadyExists, "Choose another name."),
    (vim.fault.AlreadyExists, AlreadyExists, "Choose another name."),
    (vim.fault.FileAlreadyExists, AlreadyExists, "Choose another name, or delete the file first."),
    (vim.fault.FilterInUse, InvalidState, _STATE),
    (vim.fault.FileLocked, InvalidState, "A running machine or another task holds the file."),
    (vim.fault.FileNotFound, NotFound, "See what is there: browse the datastore in vCenter."),
    (vim.fault.NoDiskSpace, LimitExceeded, _ROOM),
    (vim.fault.InsufficientResourcesFault, LimitExceeded,
     "Give the resource pool or cluster more, or ask for less."),
    (vim.fault.CannotAccessVmComponent, HypervisorError, "See that its datastore is accessible."),
    (vim.fault.FileTooLarge, LimitExceeded, "Ask for less: the datastore takes no larger file."),
    (vim.fault.InvalidPowerState, InvalidState, _STATE),
    (vim.fault.InvalidHostConnectionState, HypervisorUnreachable,
     "See whether the host is connected to its vCenter."),
    (vim.fault.InvalidHostState, InvalidState, "See whether the host is in maintenance mode."),
    (vim.fault.VmToolsUpgradeFault, GuestAgentMissing, "See to VMware Tools in the guest."),
    (vim.fault.QuestionPending, InvalidState, "Answer the machine's question in vCenter."),
    (vim.fault.ResourceInUse, InvalidState, "Something still uses it; see who does in vCenter."),
    (vim.fault.InvalidState, InvalidState, _STATE),
    (vim.fault.InvalidName, InvalidInput, "Use another name: shorter, without / and \\."),
    (vim.fault.InvalidDatastorePath, InvalidInput, "Write [DATASTORE] FOLDER/FILE.vmdk"),
    (vim.fault.InvalidDatastore, NotFound, "See the datastores of the host."),
    (vim.fault.DeviceNotFound, NotFound, "See the devices of the machine."),
    (vim.fault.InvalidDeviceSpec, InvalidInput, "See that device, controller and place fit."),
    (vim.fault.InvalidVmConfig, InvalidInput, "Change what the message names."),
    (vim.fault.HotSnapshotMoveNotSupported, NotSupported, "Stop the machine first."),
    (vim.fault.CpuHotPlugNotSupported, NotSupported, _STOP_FIRST),
    (vim.fault.MemoryHotPlugNotSupported, NotSupported,
     _STOP_FIRST),
    (vim.fault.SnapshotCopyNotSupported, NotSupported, "Remove its snapshots first."),
    (vim.fault.ApplicationQuiesceFault, HypervisorError,
     "The guest could not be frozen: see VSS or the freeze scripts in it, or do without."),
    (vim.fault.FilesystemQuiesceFault, HypervisorError,
     "The guest could not be frozen: see VSS or the freeze scripts in it, or do without."),
    (vim.fault.SnapshotFault, HypervisorError, "See the machine's tasks and events in vCenter."),
    (vim.fault.NotSupportedHost, NotSupported, "This release of the host cannot do it."),
    (vim.fault.HostConnectFault, HypervisorUnreachable,
     "See whether the host is connected to its vCenter."),
    (vmodl.fault.HostNotConnected, HypervisorUnreachable,
     "See whether the host is connected to its vCenter."),
    (vmodl.fault.HostNotReachable, HypervisorUnreachable,
     "See whether the host is connected to its vCenter."),
    (vmodl.fault.HostCommunication, HypervisorUnreachable,
     "See whether the host is connected to its vCenter."),
    (vim.fault.Timedout, OperationTimeout, "See the machine's tasks and events in vCenter."),
    (vim.fault.NotFound, NotFound, "See what is there in vCenter."),
    (vim.fault.ExtendedFault, HypervisorError, "See the machine's tasks and events in vCenter."),
    (vmodl.fault.ManagedObjectNotFound, NotFound, "It was removed meanwhile; look again."),
    (vmodl.fault.MethodNotFound, NotSupported, "This release of vSphere cannot do it."),
    (vmodl.fault.NotImplemented, NotSupported, "This release of vSphere cannot do it."),
    (vmodl.fault.NotEnoughLicenses, HypervisorDenied, "Assign a licence that has this feature."),
    (vmodl.fault.NotSupported, NotSupported, "This host or machine cannot do it."),
    (vmodl.fault.RequestCanceled, HypervisorError, "It was cancelled in vCenter; begin again."),
    (vmodl.fault.InvalidArgument, InvalidInput, "Change what the message names."),
    (vmodl.fault.InvalidRequest, InvalidInput, _RELEASE),
    (vmodl.fault.SecurityError, HypervisorDenied, "Log in as somebody who may do it."),
    (vmodl.fault.SystemError, HypervisorError, "See vCenter's log (vpxd.log), and try again."),
    (vmodl.MethodFault, HypervisorError, "See the tasks and events in vCenter."),
    (ssl.SSLCertVerificationError, HypervisorError,
     "Its certificate changed meanwhile: connect again to see its fingerprint."),
    (ssl.SSLError, HypervisorUnreachable, "See whether host and port are those of a vCenter."),
    (TimeoutError, HypervisorUnreachable, "It did not answer in time; see whether it lives."),
    (ConnectionError, HypervisorUnreachable, "See that it runs, and that no firewall is between."),
    (OSError, HypervisorUnreachable, "See that its name and port are right, and the network."),
    (HTTPException, HypervisorUnreachable, "See that its services run; it may be starting."),
    (UnreadableAnswer, HypervisorError,
     "It may be newer than this program knows: pip install --upgrade pyvmomi hypersdk"),
    (ExpatError, HypervisorError, "What answers is no vCenter or ESXi host, or it is damaged."),
    (ImportError, MissingRequirement, "Install its extra: pip install 'hypersdk[vsphere]'"),
)  # fmt: skip

#: Fields of faults that a person wants to see.
_TELLING = (
    "property", "invalidProperty", "reason", "name", "file", "datastore", "existingState", "method",
)  # fmt: skip
#: What native calls raise; anything else is a mistake of ours and must be seen.
NATIVE: tuple[type[BaseException], ...] = (
    vmodl.MethodFault,
    OSError,
    HTTPException,
    ExpatError,
    UnreadableAnswer,
)


def translated(
    error: BaseException, doing: str, *, naming: Callable[[object], str] = str
) -> HyperSDKError:
    """``error`` as ours. ``doing``: what was tried: "start 'web'". ``naming`` says what people
    call a managed object; it may ask vSphere, and must not raise."""
    if isinstance(error, HyperSDKError):
        return error
    kind, hint = _row(error)
    if kind is NotFound and isinstance(getattr(error, "obj", None), vim.VirtualMachine):
        kind = InstanceNotFound
    return kind(f"cannot {doing}: {_said(error, naming)}", hint=hint)


@contextmanager
def concerning(thing: str) -> Iterator[None]:
    """Errors of ours that come out of it name ``thing``: "'web'", "disk scsi0-0 of 'web'". Many
    calls are made for several machines, or know only an id, and cannot say it by themselves."""
    try:
        yield
    except HyperSDKError as error:
        if thing not in error.message:
            error.message = f"{thing}: {error.message}"
            error.args = (error.message, *error.args[1:])
        raise


def session_lost(error: BaseException) -> bool:
    """Whether to log in again: nothing was begun then."""
    return isinstance(error, vim.fault.NotAuthenticated)


def _row(error: BaseException) -> tuple[type[HyperSDKError], str]:
    for native, ours, hint in TABLE:
        if isinstance(error, native):
            return ours, hint
    return HypervisorError, "See the tasks and events in vCenter."


def _said(error: BaseException, naming: Callable[[object], str]) -> str:
    if isinstance(error, vim.fault.NoPermission) and error.privilegeId:
        return f"the privilege {error.privilegeId} on {naming(error.object)} is missing"
    if isinstance(error, vmodl.MethodFault):
        return said(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def said(error: vmodl.MethodFault) -> str:
    """Its message with the details that vCenter adds; its type when there is no message."""
    name = type(error).__name__.rpartition(".")[2]
    words = error.msg or ""
    if not words or name in words:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()  # invalid power state
    parts = [words, *(each.message or "" for each in error.faultMessage or ())]
    for field in _TELLING:
        value = getattr(error, field, None)
        if isinstance(value, str) and value and value not in parts[0]:
            parts.append(f"({field} {value})")
    return " ".join(" ".join(part.split()) for part in parts if part)
