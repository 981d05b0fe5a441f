from __future__ import annotations

import socket
import ssl
from http.client import RemoteDisconnected
from typing import Any
from xml.parsers.expat import ExpatError

import pytest
from pyVmomi import vim, vmodl

from hypersdk.drivers.vsphere.errors import NATIVE, TABLE, session_lost, translated
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorDenied,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotFound,
    NotSupported,
)


def _made(kind: type[BaseException]) -> BaseException:
    if issubclass(kind, vmodl.MethodFault):
        return kind()
    return kind("something")


@pytest.mark.parametrize(
    "row", TABLE, ids=[native.__name__.rpartition(".")[2] for native, _, _ in TABLE]
)
def test_each_row(row: tuple[type[BaseException], type[HyperSDKError], str]) -> None:
    native, ours, hint = row
    found = translated(_made(native), "start 'web'")
    assert type(found) is ours
    assert found.hint == hint != ""
    assert found.message.startswith("cannot start 'web': ")


def test_no_row_is_hidden_by_one_above() -> None:
    for at, (native, _, _) in enumerate(TABLE):
        hiding = [above for above, _, _ in TABLE[:at] if issubclass(native, above)]
        assert not hiding, f"{native} below {hiding}"


def test_a_missing_privilege_is_named_with_its_object() -> None:
    fault: Any = vim.fault.NoPermission()
    fault.privilegeId = "VApp.Export"
    fault.object = vim.VirtualMachine("vm-12")
    found = translated(fault, "export 'web'", naming=lambda thing: "'web'")
    assert isinstance(found, HypervisorDenied)
    assert "the privilege VApp.Export on 'web' is missing" in found.message


def test_an_object_that_is_gone() -> None:
    fault: Any = vmodl.fault.ManagedObjectNotFound()
    fault.obj = vim.VirtualMachine("vm-12")
    assert type(translated(fault, "look")) is InstanceNotFound
    fault.obj = vim.Datastore("datastore-1")
    assert type(translated(fault, "look")) is NotFound


def test_words_of_vcenter_are_kept() -> None:
    fault: Any = vim.fault.InvalidPowerState()
    fault.msg = "The attempted operation cannot be performed in the current state"
    fault.existingState = "poweredOff"
    fault.faultMessage = [vmodl.LocalizableMessage(key="x", message="It is off.")]
    said = translated(fault, "stop 'web'").message
    assert said.endswith("current state It is off. (existingState poweredOff)")


def test_a_fault_without_words_says_what_it_is() -> None:
    assert translated(vim.fault.InvalidPowerState(), "x").message == "cannot x: invalid power state"


@pytest.mark.parametrize(
    ("error", "ours", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), HypervisorUnreachable, "refused"),
        (socket.gaierror(-2, "Name or service not known"), HypervisorUnreachable, "not known"),
        (TimeoutError("timed out"), HypervisorUnreachable, "timed out"),
        (RemoteDisconnected("no answer"), HypervisorUnreachable, "no answer"),
        (ssl.SSLError(1, "wrong version number"), HypervisorUnreachable, "wrong version"),
        (ExpatError("not well-formed"), HypervisorError, "not well-formed"),
        (vmodl.fault.MethodNotFound(), NotSupported, "method not found"),
        (vmodl.fault.InvalidArgument(), InvalidInput, "invalid argument"),
        (vim.fault.ToolsUnavailable(), HypervisorError, "tools unavailable"),
        (vim.fault.MissingController(), InvalidInput, "missing controller"),
        (vim.fault.VAppTaskInProgress(), HypervisorError, "in progress"),
        (vim.fault.FileLocked(), InvalidState, "locked"),
    ],
)
def test_kinds_of_errors(error: Exception, ours: type[HyperSDKError], words: str) -> None:
    assert isinstance(error, NATIVE)
    found = translated(error, "do it")
    assert isinstance(found, ours)
    assert words in found.message


def test_ours_stay_as_they_are() -> None:
    error = InvalidInput("x")
    assert translated(error, "do it") is error


def test_only_a_lost_session_is_one() -> None:
    assert session_lost(vim.fault.NotAuthenticated())
    assert not session_lost(vim.fault.NoPermission())
