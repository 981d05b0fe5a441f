"""What containerd says about containers, and an inventory that its events keep current.

The stream of events is read by a thread of each follower. Nothing tells when containerd has begun
to listen to us, so we publish an event of our own and wait until it comes back: what happens from
then on is heard, and the inventory is read after that.
"""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.any_pb2 import Any as Packed

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.drivers.containerd.api.events import container_pb2, task_pb2
from hypersdk.drivers.containerd.api.services.events.v1.events_pb2 import (
    PublishRequest,
    SubscribeRequest,
)
from hypersdk.drivers.containerd.api.types.event_pb2 import Envelope
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.errors import native, translated
from hypersdk.drivers.containerd.inventory import ContainerdInventory
from hypersdk.model.errors import (
    HyperSDKError,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    OperationTimeout,
)
from hypersdk.model.instances import EventKind, Instance, InstanceEvent, InstanceState

_ECHO = "/hypersdk/following"
#: Attempts to hear ourselves, a slice of waiting each.
_ATTEMPTS = 100
#: Topic → its message. Others are not about instances.
_MESSAGES: Mapping[str, Any] = {
    "/containers/create": container_pb2.ContainerCreate,
    "/containers/update": container_pb2.ContainerUpdate,
    "/containers/delete": container_pb2.ContainerDelete,
    "/tasks/create": task_pb2.TaskCreate,
    "/tasks/start": task_pb2.TaskStart,
    "/tasks/exit": task_pb2.TaskExit,
    "/tasks/paused": task_pb2.TaskPaused,
    "/tasks/resumed": task_pb2.TaskResumed,
}
_STATES = {
    "/tasks/start": InstanceState.RUNNING,
    "/tasks/exit": InstanceState.STOPPED,
    "/tasks/paused": InstanceState.PAUSED,
    "/tasks/resumed": InstanceState.RUNNING,
}


class ContainerdEvents:
    """Any number of followers may be at it at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def follow(self) -> ContainerdFollowing:
        return ContainerdFollowing(self._connection)


class ContainerdFollowing:
    """Made by `ContainerdEvents.follow`. Any thread may call it; `next` gives each event once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inventory = ContainerdInventory(connection)
        self._events: queue.SimpleQueue[InstanceEvent | None] = queue.SimpleQueue()
        self._envelopes: queue.SimpleQueue[Envelope | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._error: HyperSDKError | None = None
        self._closed = False
        self._echo = secrets.token_hex(8)
        self._heard = threading.Event()
        namespace = connection.address.namespace
        with native(f"follow the events of {connection}"):
            self._stream = connection.stream(
                "events.Subscribe",
                SubscribeRequest(filters=[f'namespace=="{namespace}"']),
                timeout=None,
            )
        # Two threads: one that only listens, so that nothing is lost while the other asks.
        self._threads = [
            threading.Thread(target=task, name=f"containerd-{name}", daemon=True)
            for name, task in (("events", self._listen), ("following", self._run))
        ]
        self._threads[0].start()
        try:
            self._await_echo()
            self._known = {one.id: one for one in self._inventory.instances()}
        except BaseException:
            self.close()
            raise
        self._threads[1].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def instances(self) -> Mapping[str, Instance]:
        with self._lock:
            return {instance.name: instance for instance in self._known.values()}

    def next(self, timeout: float) -> InstanceEvent | None:
        """Raises HypervisorUnreachable once the connection is lost and all before was given."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if event is None:
            self._events.put(None)  # for whoever asks next
            raise self._error or HypervisorError(
                f"following {self._connection} was ended", hint="Follow it anew."
            )
        return event

    def close(self) -> None:
        """May be called several times."""
        self._closed = True
        self._stream.cancel()
        self._envelopes.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _await_echo(self) -> None:
        for _ in range(_ATTEMPTS):
            with native(f"follow the events of {self._connection}"):
                self._connection.change(
                    "events.Publish",
                    PublishRequest(
                        topic=_ECHO, event=Packed(type_url=_ECHO, value=self._echo.encode())
                    ),
                    timeout=30,
                )
            if self._heard.wait(WAIT_SLICE / 4):
                return
            if self._error is not None:
                raise self._error
            token_in_force().check()
        raise OperationTimeout(
            f"{self._connection} sends no events", hint="See its log: journalctl -u containerd"
        )

    def _listen(self) -> None:
        """In a thread: take envelopes out of the stream."""
        try:
            with self._connection.watching():
                for envelope in self._stream:
                    if envelope.topic != _ECHO:
                        self._envelopes.put(envelope)
                    elif envelope.event.value == self._echo.encode():
                        self._heard.set()
            error: HyperSDKError = HypervisorUnreachable(
                f"{self._connection} ended the stream of events", hint="Follow it anew."
            )
        except grpc.RpcError as failure:
            error = translated(failure, f"follow the events of {self._connection}")
        except HyperSDKError as failure:
            error = failure
        if not self._closed:
            self._error = error
        self._envelopes.put(None)

    def _run(self) -> None:
        """In another: make events of them, and bring the inventory up to date."""
        try:
            while (envelope := self._envelopes.get()) is not None:
                for event in self._applied(envelope):
                    self._events.put(event)
        except HyperSDKError as error:
            self._error = self._error or error
        finally:
            self._events.put(None)

    def _applied(self, envelope: Envelope) -> list[InstanceEvent]:
        topic = envelope.topic
        message = _MESSAGES.get(topic)
        if message is None:
            return []
        said = message.FromString(envelope.event.value)
        name = said.id if topic.startswith("/containers/") else said.container_id
        if topic == "/tasks/exit" and said.id != name:
            return []  # a command that was run inside has ended
        if topic == "/containers/delete":
            with self._lock:
                known = self._known.pop(name, None)
            return [_event(EventKind.REMOVED, name, InstanceState.STOPPED, topic)] if known else []
        if topic in _STATES:
            return self._changed(name, _STATES[topic], topic)
        return self._looked(name, topic)

    def _changed(self, name: str, state: InstanceState, topic: str) -> list[InstanceEvent]:
        with self._lock:
            before = self._known.get(name)
            if before is None:
                return []  # deleted meanwhile: it was not there when the inventory was read
            self._known[name] = _with_state(before, state)
        return [_event(EventKind.STATE, name, state, topic)] if before.state is not state else []

    def _looked(self, name: str, topic: str) -> list[InstanceEvent]:
        """The event does not say it all: ask."""
        with suppress(InstanceNotFound):
            found = self._inventory.instance(name)
            with self._lock:
                before = self._known.get(name)
                if topic == "/containers/create":
                    self._known[name] = _with_state(found, InstanceState.STOPPED)
                elif before is None:
                    return []
                elif found.state is InstanceState.PAUSED:
                    self._known[name] = found
                else:
                    # Other states have their own events, which are on their way.
                    self._known[name] = _with_state(found, before.state)
            if topic == "/containers/create" and before is None:
                return [_event(EventKind.DEFINED, name, InstanceState.STOPPED, topic)]
            if before is not None and found.state is InstanceState.PAUSED is not before.state:
                return [_event(EventKind.STATE, name, InstanceState.PAUSED, topic)]
        return []


def _with_state(instance: Instance, state: InstanceState) -> Instance:
    return replace(instance, state=state)


def _event(kind: EventKind, name: str, state: InstanceState, topic: str) -> InstanceEvent:
    words = topic.strip("/").replace("/", " ")
    return InstanceEvent(kind, name, name, state, datetime.now(UTC), words)
