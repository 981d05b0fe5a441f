"""Temporary snapshots: the moment at which all disks of a virtual machine are read.

One for all disks, so that they belong together. It carries our mark, so that a later run can tell
it from others and remove it when we died. Removing it is tried again for a while: vSphere refuses
while something else is done to the machine.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyVmomi import vim

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.owner import PREFIX, Owner, new_name
from hypersdk.drivers.vsphere.properties import moid
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorDenied,
    HypervisorError,
    HypervisorUnreachable,
    Interrupted,
    NotFound,
)

_log = logging.getLogger(__name__)

#: Seconds. A quiesced snapshot waits for the guest; merging a busy one back may take long.
_CREATE_SECONDS = 900.0
_REMOVE_SECONDS = 3600.0
#: Tries to remove one, and seconds before the second; doubled each time.
_TRIES = 5
_PAUSE_SECONDS = 1.0
#: Of this process, that could not be removed: URL of the connection and id. The next run may.
_given_up: set[tuple[str, str]] = set()
_ENDED = (vim.TaskInfo.State.success, vim.TaskInfo.State.error)


@dataclass(frozen=True, slots=True)
class Temporary:
    """A snapshot of ours as it stands in the tree of a virtual machine."""

    #: ``vim.vm.Snapshot``.
    snapshot: Any
    name: str
    made: datetime
    owner: Owner


def create(connection: Connection, vm: Any, name: str, *, freeze: bool) -> tuple[Any, bool, str]:
    """A new snapshot without memory; whether filesystems were frozen for it, and why not.

    A guest that cannot be frozen gets one as after a power cut, which is better than none.
    Raises what vSphere says when that fails as well.
    """
    title, owner = new_name(), str(Owner.this())

    def begin(quiesce: bool) -> Any:
        return _made(connection, vm, name, (title, owner, False, quiesce))

    if not freeze:
        return begin(False), False, ""
    try:
        return begin(True), True, ""
    except (Interrupted, HypervisorDenied, HypervisorUnreachable):
        raise
    except HypervisorError as error:
        _log.warning("'%s' cannot be frozen: %s", name, error.message)
        return begin(False), False, error.message


def _made(connection: Connection, vm: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    """The snapshot; when it was not to be, also by being cancelled, nothing is left of it."""
    tasks: list[Any] = []

    def begin() -> Any:
        tasks.append(vm.CreateSnapshot_Task(*arguments))
        return tasks[-1]

    what = f"take a temporary snapshot of '{name}'"
    try:
        return connection.task(begin, what, seconds=_CREATE_SECONDS)
    except BaseException:
        with CancelToken().scope():
            for task in tasks:
                with suppress(NotFound):  # the task is forgotten, thus over
                    connection.wait(
                        task,
                        ["info.state"],
                        lambda now: now.get("info.state") in _ENDED,
                        _CREATE_SECONDS,
                    )
            for left in found(connection, vm):
                if left.name == arguments[0]:
                    remove(connection, vm, left.snapshot, name)
        raise


def found(connection: Connection, vm: Any) -> list[Temporary]:
    """All temporary ones of a virtual machine, of whatever run."""
    tree = connection.get(vm, "snapshot").get("snapshot")
    return list(_ours(tree.rootSnapshotList)) if tree else []


def _ours(nodes: Any) -> Iterator[Temporary]:
    for node in nodes or ():
        owner = Owner.parse(node.description or "")
        if owner is not None and (node.name or "").startswith(PREFIX):
            yield Temporary(node.snapshot, node.name, node.createTime, owner)
        yield from _ours(node.childSnapshotList)


def exists(connection: Connection, vm: Any, snapshot: Any) -> bool:
    """Whether the virtual machine still has it."""
    tree = connection.get(vm, "snapshot").get("snapshot")
    pending = list(tree.rootSnapshotList) if tree else []
    while pending:
        node = pending.pop()
        if moid(node.snapshot) == moid(snapshot):
            return True
        pending += node.childSnapshotList or ()
    return False


def remove(connection: Connection, vm: Any, snapshot: Any, name: str) -> None:
    """Remove a snapshot of ours and merge its files, also when our own work was cancelled.

    Raises HypervisorError that says how to remove it by hand when all tries failed.
    """
    pause = _PAUSE_SECONDS
    with CancelToken().scope():
        for attempt in range(1, _TRIES + 1):
            try:
                _remove_once(connection, vm, snapshot, name)
            except HyperSDKError as error:
                if attempt == _TRIES or isinstance(error, HypervisorDenied):
                    _given_up.add((connection.url, moid(snapshot)))
                    raise HypervisorError(
                        f"the temporary snapshot of '{name}' could not be removed: {error.message}",
                        hint="Its next backup tries again; or remove it in the vSphere Client "
                        f"({PREFIX}…), before it grows.",
                    ) from error
                _log.info("'%s': its snapshot is not removed yet: %s", name, error.message)
                time.sleep(pause)
                pause *= 2
            else:
                return


def _remove_once(connection: Connection, vm: Any, snapshot: Any, name: str) -> None:
    with suppress(NotFound):  # somebody was quicker
        if exists(connection, vm, snapshot):
            connection.task(
                lambda: snapshot.RemoveSnapshot_Task(removeChildren=False, consolidate=True),
                f"remove the temporary snapshot of '{name}'",
                seconds=_REMOVE_SECONDS,
            )
        if connection.get(vm, "runtime.consolidationNeeded").get("runtime.consolidationNeeded"):
            connection.task(
                vm.ConsolidateVMDisks_Task,
                f"merge the snapshot files of '{name}'",
                seconds=_REMOVE_SECONDS,
            )


def clean(connection: Connection, vm: Any, name: str, *, dry_run: bool = False) -> list[str]:
    """Remove those of runs that died, or could not remove their own; a line for each."""
    if not (mine := found(connection, vm)):
        return []
    service = connection.object(vim.ServiceInstance, "ServiceInstance")
    now = connection.call(service.CurrentTime, "ask for the time")
    done = []
    for left in mine:
        given_up = left.owner.is_this and (connection.url, moid(left.snapshot)) in _given_up
        if given_up or left.owner.is_dead(left.made, now):
            if not dry_run:
                remove(connection, vm, left.snapshot, name)
            done.append(f"{name}: removed the temporary snapshot {left.name} of a run that died")
    return done
