"""The same done to many instances, each with a result of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.ports import Inventory, Lifecycle, Snapshots
from hypersdk.flows.fleet.inventory import FleetInstance
from hypersdk.flows.fleet.members import Fleet, failure
from hypersdk.flows.fleet.parallel import run_each
from hypersdk.model.errors import HyperSDKError, Interrupted, InvalidInput, NotSupported
from hypersdk.model.instances import InstanceState
from hypersdk.model.operations import OUTCOMES, Operation

_P = TypeVar("_P")


class Action(Enum):
    """What can be done to many instances."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    SNAPSHOT = "snapshot"
    DELETE = "delete"


class Ending(Enum):
    """How it ended for one instance."""

    SUCCEEDED = "succeeded"
    #: It was so already; nothing was done.
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How it is done."""

    #: Stop: cut the power. Delete: stop what runs, in that way.
    force: bool = False
    #: Seconds that a guest may take to power down.
    timeout: float = 60.0
    #: Start: with the processors halted.
    paused: bool = False
    #: Delete: also the disks that only the instance uses.
    disks: bool = False
    #: Name of the snapshot.
    snapshot: str = ""
    #: Snapshot: with the running state.
    memory: bool = False
    #: Snapshot: with the filesystems frozen.
    quiesce: bool = False
    description: str = ""
    #: Instances at once, in all and on one hypervisor.
    workers: int = 16
    per_hypervisor: int = 4


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one instance."""

    target: FleetInstance
    ending: Ending
    seconds: float = 0.0
    #: Why it failed.
    error: HyperSDKError | None = None


#: Called with each result as it comes, from the threads of the batch, one at a time.
Watcher = Callable[[BatchResult], None]

_OPERATIONS = {
    Action.START: Operation.START,
    Action.STOP: Operation.STOP,
    Action.PAUSE: Operation.PAUSE,
    Action.RESUME: Operation.RESUME,
}


def run_batch(
    fleet: Fleet,
    targets: Sequence[FleetInstance],
    action: Action,
    *,
    options: BatchOptions | None = None,
    watcher: Watcher = lambda _: None,
    cancel: CancelToken | None = None,
) -> tuple[BatchResult, ...]:
    """Do it to all targets; one that fails does not stop the others.

    Results are in the order of the targets. When it is cancelled, those that were under way and
    those that had not begun have failed with Interrupted. Raises InvalidInput for options without
    sense.
    """
    chosen = options or BatchOptions()
    if action is Action.SNAPSHOT and not chosen.snapshot:
        raise InvalidInput("a snapshot needs a name")
    telling = threading.Lock()

    def work(target: FleetInstance) -> BatchResult:
        began = time.monotonic()
        error: HyperSDKError | None = None
        try:
            changed = _act(fleet, target, action, chosen)
            ending = Ending.SUCCEEDED if changed else Ending.UNCHANGED
        except Exception as raised:  # noqa: BLE001 - it is this one's result
            ending, error = Ending.FAILED, failure(raised)
            # It was done by id, but people know it by its name.
            quoted = (f"'{target.instance.id}'", f"'{target.instance.name}'")
            error.message = error.message.replace(*quoted)
        result = BatchResult(target, ending, time.monotonic() - began, error)
        with telling:
            watcher(result)
        return result

    def skip(target: FleetInstance) -> BatchResult:
        error = Interrupted("cancelled before it was begun")
        return BatchResult(target, Ending.FAILED, 0.0, error)

    return tuple(
        run_each(
            targets,
            work,
            skip=skip,
            key=lambda target: target.hypervisor,
            workers=chosen.workers,
            per_key=chosen.per_hypervisor,
            cancel=cancel or CancelToken(),
        )
    )


def _act(fleet: Fleet, target: FleetInstance, action: Action, options: BatchOptions) -> bool:
    """Whether anything was to be done. By id: another instance may have the name by now."""
    hypervisor = fleet.hypervisor(target.hypervisor)
    name = target.instance.id
    if action is Action.SNAPSHOT:
        snapshots = _need(hypervisor.snapshots, target, "snapshots")
        _snapshot(snapshots, name, options)
        return True
    lifecycle = _need(hypervisor.lifecycle, target, "lifecycle")
    inventory = _need(hypervisor.inventory, target, "inventory")
    if action is Action.DELETE:
        _delete(inventory, lifecycle, name, options)
        return True
    state = inventory.instance(name).state  # as it is now, not as it was listed
    if _is_so_already(action, state, options):
        return False
    match action:
        case Action.START:
            lifecycle.start(name, paused=options.paused)
        case Action.STOP:
            lifecycle.stop(name, force=options.force, timeout=options.timeout)
        case Action.PAUSE:
            lifecycle.pause(name)
        case Action.RESUME:
            lifecycle.resume(name)
    return True


def _is_so_already(action: Action, state: InstanceState, options: BatchOptions) -> bool:
    if action is Action.START and options.paused and state is InstanceState.PAUSED:
        return True
    return OUTCOMES[_OPERATIONS[action]].get(state) is state


def _snapshot(snapshots: Snapshots, name: str, options: BatchOptions) -> None:
    snapshots.create(
        name,
        options.snapshot,
        memory=options.memory,
        quiesce=options.quiesce,
        description=options.description,
    )


def _delete(inventory: Inventory, lifecycle: Lifecycle, name: str, options: BatchOptions) -> None:
    if options.force and inventory.instance(name).state is not InstanceState.STOPPED:
        lifecycle.stop(name, force=True, timeout=options.timeout)
    lifecycle.delete(name, disks=options.disks)


def _need(part: _P | None, target: FleetInstance, name: str) -> _P:
    if part is None:
        raise NotSupported(f"{target.hypervisor} has no {name}")
    return part
