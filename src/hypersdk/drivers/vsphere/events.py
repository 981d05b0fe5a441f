"""Told of every change: vSphere's own property filter on all machines, one conversation."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from pyVmomi import vim

from hypersdk.drivers.vsphere import finding, properties, translate
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.errors import NATIVE, session_lost
from hypersdk.drivers.vsphere.properties import Change, moid
from hypersdk.model.errors import HyperSDKError, HypervisorUnreachable
from hypersdk.model.instances import EventKind, Instance, InstanceEvent, InstanceState

#: Seconds that vSphere holds its answer back while nothing happens.
_HOLD_SECONDS = 5
#: Changes with every change of a machine's settings; tags are among them.
_VERSION = "config.changeVersion"
_FOLLOWED = (*translate.LISTED, _VERSION)


class VsphereEvents:
    """The ``events`` part. Any number of followers may be at it at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def follow(self) -> VsphereFollowing:
        return VsphereFollowing(self._connection)


class VsphereFollowing:
    """Made by `VsphereEvents.follow`. Any thread may call it; `next` gives each event once.

    Instances are as `VsphereInventory.instances` lists them. A session that ends meanwhile is
    renewed, and what changed in between is told then.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._events: queue.SimpleQueue[InstanceEvent | HyperSDKError] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        #: Id → properties, and the instance as it was told.
        self._rows: dict[str, dict[str, Any]] = {}
        self._told: dict[str, Instance] = {}
        self._silent = True
        self._places = finding.Places(connection)
        self._changes = self._begin()
        self._silent = False
        self._thread = threading.Thread(target=self._run, name="vsphere-events", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def instances(self) -> Mapping[str, Instance]:
        with self._lock:
            return {instance.name: instance for instance in self._told.values()}

    def next(self, timeout: float) -> InstanceEvent | None:
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(event, HyperSDKError):
            self._events.put(event)  # for whoever asks next
            raise event
        return event

    def close(self) -> None:
        """May be called several times."""
        if not self._closed.is_set():
            self._closed.set()
            self._changes.cancel()
            self._thread.join()
            self._changes.close()

    def _begin(self) -> properties.Changes:
        """Ask for all, and compare with what was told."""
        connection = self._connection
        doing = f"follow the machines of {connection.address.place}"
        top = connection.root
        changes = connection.call(
            lambda: properties.Changes(
                connection.content, (), _FOLLOWED, kind=vim.VirtualMachine, root=top
            ),
            doing,
        )
        try:
            found = connection.call(lambda: changes.next(1), doing, again=False)
        except BaseException:
            changes.close()
            raise
        for gone in self._rows.keys() - {change.moid for change in found}:
            self._apply(Change(gone, "leave", {}))
        for change in found:
            self._apply(change)
        return changes

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._listen()
        except HyperSDKError as error:
            lost = HypervisorUnreachable(
                f"the connection to {self._connection.address.place} was lost: {error.message}",
                hint="Follow it anew.",
            )
            self._events.put(lost)

    def _listen(self) -> None:
        generation = self._connection.session.generation
        try:
            for change in self._changes.next(_HOLD_SECONDS):
                self._apply(change)
        except NATIVE as error:
            if self._closed.is_set():
                return
            if not session_lost(error):
                raise self._connection.ours(error, "follow the machines") from error
            self._connection.session.renew(generation)
            self._changes = self._begin()

    def _apply(self, change: Change) -> None:
        if change.kind == "leave":
            self._rows.pop(change.moid, None)
            with self._lock:
                gone = self._told.pop(change.moid, None)
            if gone is not None:
                self._tell(EventKind.REMOVED, gone, InstanceState.STOPPED, "leave")
            return
        row = self._rows.setdefault(change.moid, dict.fromkeys(_FOLLOWED))
        row.update(change.values)
        if not _complete(row):
            return  # it is just being made; more will come
        if row[translate.OWNED_PATH] and {_VERSION, translate.OWNED_PATH} & change.values.keys():
            machine = self._connection.object(vim.VirtualMachine, change.moid)
            row.update(self._connection.many([machine], "config.extraConfig").get(change.moid, {}))
        self._compare(change.moid, self._instance(change.moid, row), ", ".join(change.values))

    def _instance(self, found: str, row: Mapping[str, Any]) -> Instance:
        parent = row["parent"]
        if parent is not None and not self._places.knows(moid(parent)):
            self._places = finding.Places(self._connection)
        return translate.instance(found, row, folder=self._places.of(parent).folder)

    def _compare(self, found: str, now: Instance, detail: str) -> None:
        with self._lock:
            before = self._told.get(found)
            self._told[found] = now
        if before is None or _besides_state(before) != _besides_state(now):
            self._tell(EventKind.DEFINED, now, now.state, detail)
        if before is not None and before.state is not now.state:
            self._tell(EventKind.STATE, now, now.state, detail)

    def _tell(self, kind: EventKind, instance: Instance, state: InstanceState, detail: str) -> None:
        if not self._silent:
            now = datetime.now(UTC)
            self._events.put(InstanceEvent(kind, instance.id, instance.name, state, now, detail))


def _complete(row: Mapping[str, Any]) -> bool:
    """A machine that vCenter can reach has an identity, as soon as it is made."""
    if row["name"] is None:
        return False
    return row["config.instanceUuid"] is not None or str(row["runtime.connectionState"]) not in (
        "connected",
        "None",
    )


def _besides_state(instance: Instance) -> tuple[object, ...]:
    return (
        instance.id,
        instance.name,
        instance.vcpus,
        instance.memory,
        dict(instance.tags),
        instance.owned,
        instance.folder,
    )
