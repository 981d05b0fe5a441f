"""Defects in making, running, stopping and deleting instances."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypersdk.drivers.calls import Call
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    HypervisorError,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    OperationTimeout,
)
from hypersdk.model.instances import InstanceState
from tests.conformance.mutants import Go, Seat, mutant

RUNNING, PAUSED, STOPPED = InstanceState.RUNNING, InstanceState.PAUSED, InstanceState.STOPPED


def _state(at: Seat, call: Call) -> InstanceState:
    return at.mock.inventory.instance(call.instance).state


@mutant("lifecycle")
def stop_of_stopped_raises(at: Seat, call: Call, go: Go) -> Any:
    """Stopping a stopped instance is an error."""
    if call.operation == "lifecycle.stop" and _state(at, call) is STOPPED:
        raise InvalidState(f"'{call.instance}' is stopped already", hint="Leave it.")
    return go()


@mutant("lifecycle")
def start_of_paused_is_ignored(at: Seat, call: Call, go: Go) -> Any:
    """Starting a paused instance returns, and it stays paused."""
    if call.operation == "lifecycle.start" and _state(at, call) is PAUSED:
        return None
    return go()


@mutant("lifecycle")
def pause_does_nothing(at: Seat, call: Call, go: Go) -> Any:
    """Pause returns and has done nothing."""
    return None if call.operation == "lifecycle.pause" else go()


@mutant("lifecycle")
def paused_start_runs(at: Seat, call: Call, go: Go) -> Any:
    """An instance that is to be started paused just runs."""
    if call.operation == "lifecycle.start" and call.options.get("paused"):
        return at.mock.lifecycle.start(call.instance)
    return go()


@mutant("lifecycle")
def resume_starts_what_is_stopped(at: Seat, call: Call, go: Go) -> Any:
    """Resuming a stopped instance starts it."""
    if call.operation == "lifecycle.resume" and _state(at, call) is STOPPED:
        return at.mock.lifecycle.start(call.instance)
    return go()


@mutant("lifecycle")
def graceful_stop_of_paused_cuts_off(at: Seat, call: Call, go: Go) -> Any:
    """Stopping a paused instance without force cuts its power."""
    if call.operation == "lifecycle.stop":
        return at.mock.lifecycle.stop(call.instance, force=True)
    return go()


@mutant("lifecycle")
def delete_of_running_succeeds(at: Seat, call: Call, go: Go) -> Any:
    """Deleting a running instance stops and deletes it."""
    if call.operation == "lifecycle.delete":
        at.mock.lifecycle.stop(call.instance, force=True)
    return go()


@mutant("lifecycle")
def reset_stops(at: Seat, call: Call, go: Go) -> Any:
    """Reset leaves the instance stopped."""
    answer = go()
    if call.operation == "lifecycle.reset":
        at.mock.lifecycle.stop(call.instance, force=True)
    return answer


@mutant("lifecycle")
def create_starts_it(at: Seat, call: Call, go: Go) -> Any:
    """A new instance runs at once."""
    answer = go()
    if call.operation == "lifecycle.create":
        at.mock.lifecycle.start(answer.name)
        return at.mock.inventory.instance(answer.name)
    return answer


@mutant("lifecycle")
def delete_leaves_the_disk(at: Seat, call: Call, go: Go) -> Any:
    """Deleting an instance with its disks leaves a disk file behind."""
    if call.operation == "lifecycle.delete" and call.options.get("disks"):
        disk = Path(at.mock.inventory.instance(call.instance).disks[0].path)
        kept = disk.parents[2] / "kept"
        kept.mkdir(exist_ok=True)
        os.link(disk, kept / disk.name)
    return go()


@mutant("lifecycle")
def delete_takes_the_disks_always(at: Seat, call: Call, go: Go) -> Any:
    """Deleting an instance takes its disks along, though they were to be kept."""
    if call.operation == "lifecycle.delete":
        return at.mock.lifecycle.delete(call.instance, disks=True)
    return go()


@mutant("errors", "idempotency")
def delete_of_missing_succeeds(at: Seat, call: Call, go: Go) -> Any:
    """Deleting an instance that is not there succeeds."""
    try:
        return go()
    except InstanceNotFound:
        if call.operation == "lifecycle.delete":
            return None
        raise


@mutant("errors")
def delete_takes_the_begin_of_a_name(at: Seat, call: Call, go: Go) -> Any:
    """Deleting by the begin of a name deletes the instance that begins so."""
    try:
        return go()
    except InstanceNotFound:
        if call.operation == "lifecycle.delete" and len(call.instance) > 4:
            for found in at.mock.inventory.instances():
                if found.name.startswith(call.instance):
                    return at.mock.lifecycle.delete(found.name, disks=True)
        raise


@mutant("lifecycle")
def refusals_are_of_the_wrong_class(at: Seat, call: Call, go: Go) -> Any:
    """What the state forbids raises HypervisorError instead of InvalidState."""
    try:
        return go()
    except InvalidState as error:
        raise HypervisorError(error.message, hint=error.hint) from error


@mutant("lifecycle")
def refused_operations_change_something(at: Seat, call: Call, go: Go) -> Any:
    """Pausing a stopped instance is refused, and starts it all the same."""
    try:
        return go()
    except InvalidState:
        if call.operation == "lifecycle.pause":
            at.mock.lifecycle.start(call.instance)
        raise


@mutant("errors")
def native_errors_escape(at: Seat, call: Call, go: Go) -> Any:
    """An instance that is not there raises the backend's own error."""
    try:
        return go()
    except InstanceNotFound as error:
        raise KeyError(call.instance) from error


@mutant("errors")
def errors_do_not_say_what_to_do(at: Seat, call: Call, go: Go) -> Any:
    """Errors have no hint."""
    try:
        return go()
    except HyperSDKError as error:
        error.hint = ""
        raise


@mutant("spec")
def a_failed_create_leaves_a_draft(at: Seat, call: Call, go: Go) -> Any:
    """Creating that fails leaves a half made folder."""
    try:
        return go()
    except InvalidInput:
        if call.operation == "lifecycle.create":
            root = Path(at.url.removeprefix("mock://").partition("?")[0])
            (root / ".draft").mkdir(exist_ok=True)
        raise


@mutant("spec")
def no_processors_become_one(at: Seat, call: Call, go: Go) -> Any:
    """A spec without processors gets one instead of being refused."""
    if call.operation == "lifecycle.create" and call.arguments[0].vcpus < 1:
        return at.mock.lifecycle.create(replace(call.arguments[0], vcpus=1))
    return go()


@mutant("idempotency")
def create_overwrites(at: Seat, call: Call, go: Go) -> Any:
    """Creating under a name that is taken replaces the instance that has it."""
    try:
        return go()
    except AlreadyExists:
        if call.operation != "lifecycle.create":
            raise
    at.mock.lifecycle.stop(call.instance, force=True)
    at.mock.lifecycle.delete(call.instance, disks=True)
    return at.mock.lifecycle.create(call.arguments[0])


@mutant("idempotency")
def create_again_returns_the_first(at: Seat, call: Call, go: Go) -> Any:
    """Creating under a name that is taken returns the instance that has it."""
    try:
        return go()
    except AlreadyExists:
        if call.operation == "lifecycle.create":
            return at.mock.inventory.instance(call.instance)
        raise


@mutant("timeouts", query="obeys_stop=false")
def a_timeout_cuts_off_the_guest(at: Seat, call: Call, go: Go) -> Any:
    """A stop that runs out of time cuts the guest's power."""
    try:
        return go()
    except OperationTimeout:
        at.mock.lifecycle.stop(call.instance, force=True)
        raise


@mutant("timeouts", query="obeys_stop=false")
def a_stop_without_effect_succeeds(at: Seat, call: Call, go: Go) -> Any:
    """A stop that the guest does not obey returns as if it had."""
    try:
        return go()
    except OperationTimeout:
        return None
