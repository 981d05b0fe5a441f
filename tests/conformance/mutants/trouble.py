"""Defects that show when much happens at once, or something goes wrong."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypersdk.datapath.cancel import CancelToken, token_in_force
from hypersdk.drivers.calls import Call
from hypersdk.drivers.mock.driver import connect
from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    LimitExceeded,
)
from hypersdk.model.instances import Disk
from tests.conformance.mutants import Go, Seat, mutant

#: Seconds by which a race is made wide enough to be seen each time.
WIDE = 0.05


class Crowd:
    """How many are in the same call about the same name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: dict[str, int] = {}

    def enter(self, name: str) -> int:
        """How many there are now."""
        with self._lock:
            self._inside[name] = self._inside.get(name, 0) + 1
            return self._inside[name]

    def leave(self, name: str) -> None:
        with self._lock:
            self._inside[name] -= 1


def _crowd(at: Seat) -> Crowd:
    crowd: Crowd = at.shared.setdefault("crowd", Crowd())
    return crowd


@mutant("concurrency.one_name_has_one_winner")
def a_race_for_a_name_has_many_winners(at: Seat, call: Call, go: Go) -> Any:
    """Whether a name is taken is looked up before, and not held until it is made."""
    if call.operation != "lifecycle.create":
        return go()
    crowd = _crowd(at)
    others = crowd.enter(call.instance)
    try:
        time.sleep(WIDE)
        return go()
    except AlreadyExists:
        if others > 1:
            return at.mock.inventory.instance(call.instance)
        raise
    finally:
        crowd.leave(call.instance)


@mutant("concurrency.disks_attached_at_once_are_all_there")
def updates_at_once_are_lost(at: Seat, call: Call, go: Go) -> Any:
    """Of two changes of a definition at once the first is overwritten by the second."""
    if call.operation != "hotplug.attach_disk":
        return go()
    crowd = _crowd(at)
    others = crowd.enter(call.instance)
    try:
        if others > 1:
            return Disk(f"vdlost{others}", call.arguments[1].size)
        time.sleep(WIDE)
        return go()
    finally:
        crowd.leave(call.instance)


@mutant("concurrency.one_delete_wins")
def everybody_who_deletes_wins(at: Seat, call: Call, go: Go) -> Any:
    """Of many who delete one instance at once all are told that they did."""
    try:
        return go()
    except InstanceNotFound:
        if call.operation == "lifecycle.delete":
            return None
        raise


@mutant("concurrency.starting_at_once_starts_once")
def starting_at_once_is_an_error(at: Seat, call: Call, go: Go) -> Any:
    """Of many who start one instance at once all but the first get an error."""
    if call.operation != "lifecycle.start":
        return go()
    crowd = _crowd(at)
    try:
        if crowd.enter(call.instance) > 1:
            raise HypervisorError(f"'{call.instance}' is being started", hint="Wait.")
        time.sleep(WIDE)
        return go()
    finally:
        crowd.leave(call.instance)


@mutant("concurrency.many_instances_at_once")
def one_in_fifty_is_not_made(at: Seat, call: Call, go: Go) -> Any:
    """Of many instances made at once every fiftieth is reported and not there."""
    if call.operation != "lifecycle.create":
        return go()
    with at.lock:
        number = at.own["made"] = at.own.get("made", 0) + 1
    made = go()
    if number % 50 == 0:
        at.mock.lifecycle.delete(made.name, disks=True)
    return made


@mutant("concurrency.lists_hold_while_others_come_and_go")
def lists_fail_while_others_go(at: Seat, call: Call, go: Go) -> Any:
    """An instance that goes while the list is made makes the list fail."""
    answer = go()
    gone = at.shared.setdefault("gone", [])
    if call.operation == "lifecycle.delete":
        gone.append(call.instance)
    if call.operation == "inventory.instances":
        deadline = time.monotonic() + 2
        while not gone and time.monotonic() < deadline:
            time.sleep(WIDE)  # until one has gone, whatever else the machine is busy with
        for name in gone:
            at.mock.inventory.instance(name)
    return answer


@mutant("timeouts.stop_can_be_cancelled", query="obeys_stop=false")
def a_waiting_stop_ignores_cancellation(at: Seat, call: Call, go: Go) -> Any:
    """A stop that waits for its guest looks at its token every few seconds only."""
    if call.operation != "lifecycle.stop" or call.options.get("force"):
        return go()
    token = token_in_force()
    while not token.cancelled:
        time.sleep(WIDE)
    time.sleep(2.5)
    with CancelToken().scope():
        at.mock.inventory.instance(call.instance)
    return token.check()


@mutant("timeouts", query="obeys_stop=false")
def a_cancelled_stop_cuts_off(at: Seat, call: Call, go: Go) -> Any:
    """A stop that is cancelled cuts the guest's power."""
    try:
        return go()
    finally:
        if call.operation == "lifecycle.stop" and token_in_force().cancelled:
            with CancelToken().scope():
                at.mock.lifecycle.stop(call.instance, force=True)


@mutant("connection")
def a_lost_connection_lists_nothing(at: Seat, call: Call, go: Go) -> Any:
    """After a cut the list is empty instead of an error."""
    try:
        return go()
    except HypervisorUnreachable:
        if call.operation == "inventory.instances":
            return iter(())
        raise


@mutant("connection")
def a_lost_connection_finds_nobody(at: Seat, call: Call, go: Go) -> Any:
    """After a cut an instance is reported as missing."""
    try:
        return go()
    except HypervisorUnreachable as error:
        if call.operation == "inventory.instance":
            raise InstanceNotFound(f"no instance '{call.instance}'", hint="Look.") from error
        raise


@mutant("connection")
def a_lost_connection_stays_lost(at: Seat, call: Call, go: Go) -> Any:
    """After a cut every call fails until somebody connects by hand."""
    if at.own.get("lost"):
        raise HypervisorUnreachable("the connection is lost", hint="Connect anew.")
    try:
        return go()
    except HypervisorUnreachable:
        at.own["lost"] = True
        raise


@mutant("connection", "errors")
def a_lost_connection_is_no_typed_error(at: Seat, call: Call, go: Go) -> Any:
    """A lost connection raises the error of the socket."""
    try:
        return go()
    except HypervisorUnreachable as error:
        raise ConnectionResetError(error.message) from error


@mutant("exhaustion")
def too_many_vcpus_are_clamped(at: Seat, call: Call, go: Go) -> Any:
    """More processors than there are become as many as there are."""
    if call.operation == "lifecycle.create" and call.arguments[0].vcpus > 64:
        return at.mock.lifecycle.create(replace(call.arguments[0], vcpus=64))
    return go()


@mutant("exhaustion")
def a_refusal_for_want_of_room_leaves_it(at: Seat, call: Call, go: Go) -> Any:
    """An instance that does not fit is refused, and is there all the same."""
    try:
        return go()
    except LimitExceeded:
        if call.operation == "lifecycle.create":
            at.mock.lifecycle.create(replace(call.arguments[0], vcpus=1, memory=64 << 20, disks=()))
        raise


@mutant("core")
def looking_leaves_something(at: Seat, call: Call, go: Go) -> Any:
    """Each list leaves a file in the backend."""
    answer = go()
    if call.operation == "inventory.instances":
        root = Path(at.url.removeprefix("mock://").partition("?")[0])
        (root / "scratch").mkdir(exist_ok=True)
        (root / "scratch" / f"{time.monotonic_ns()}").touch()
    return answer


@mutant("migration")
def what_moves_stays_as_well(at: Seat, call: Call, go: Go) -> Any:
    """An instance that moved is still there where it was."""
    if call.operation != "live_migration.migrate":
        return go()
    made = at.mock.inventory.instance(call.instance)
    answer = go()
    at.mock.create_instance(made.name, {disk.name: disk.size for disk in made.disks})
    return answer


@mutant("migration")
def what_moves_is_stopped(at: Seat, call: Call, go: Go) -> Any:
    """An instance that moved is stopped at its destination."""
    answer = go()
    if call.operation == "live_migration.migrate":
        connect(call.arguments[1]).lifecycle.stop(call.instance, force=True)
    return answer


@mutant("migration")
def a_failed_move_stops_it(at: Seat, call: Call, go: Go) -> Any:
    """An instance that could not move is stopped where it was."""
    try:
        return go()
    except HyperSDKError:
        if call.operation == "live_migration.migrate":
            at.mock.lifecycle.stop(call.instance, force=True)
        raise
