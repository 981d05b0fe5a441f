"""What the engine says about containers, and an inventory that it keeps current."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, cast

from hypersdk.drivers.docker import marks, translate
from hypersdk.drivers.docker.connection import Connection, Json
from hypersdk.drivers.docker.errors import native
from hypersdk.drivers.docker.following import Followed
from hypersdk.drivers.docker.inventory import DockerInventory
from hypersdk.model.errors import HyperSDKError, HypervisorUnreachable, InstanceNotFound
from hypersdk.model.instances import EventKind, Instance, InstanceEvent, InstanceState

#: Docker's word → state afterwards.
_STATES = {
    "start": InstanceState.RUNNING,
    "unpause": InstanceState.RUNNING,
    "pause": InstanceState.PAUSED,
    "die": InstanceState.STOPPED,
}
#: After which the container is there, new or under another name.
_DEFINED = ("create", "rename")
_WORDS = (*_STATES, *_DEFINED, "destroy")
#: Seconds between looks whether we were closed.
_LOOK_SECONDS = 0.2


class DockerEvents:
    """The ``events`` part. Any number of followers may be at it at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def follow(self) -> DockerFollowing:
        return DockerFollowing(self._connection)


class DockerFollowing:
    """Made by `DockerEvents.follow`. Any thread may call it; `next` gives each event once.

    A container that was made anew (a snapshot was reverted) is the same instance: DEFINED comes
    for the new one, and nothing for the removal of the old one.
    """

    def __init__(self, connection: Connection) -> None:
        self._inventory = DockerInventory(connection)
        self._url = connection.url
        self._events: queue.SimpleQueue[InstanceEvent | HyperSDKError] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        #: Docker's id of the container that each identity has now.
        self._containers: dict[str, str] = {}
        with native(f"follow the events of {self._url}"):
            # The engine answers before it has begun to listen: what comes in between is asked for
            # by the engine's own clock.
            since = translate.moment(connection.client.info()["SystemTime"])
            stream = connection.client.events(
                since=cast("int", since.timestamp()),  # the SDK's types know no fractions
                filters={"type": "container", "event": list(_WORDS)},
                decode=True,
            )
        self._notes: Followed[Json] = Followed(stream, f"follow the events of {self._url}")
        try:
            self._known = {each.id: each for each in self._inventory.instances()}
            with native(f"follow the events of {self._url}"):
                for row in connection.client.containers(all=True):
                    self._containers[_identity(row["Labels"] or {}, row["Id"])] = row["Id"]
        except BaseException:
            self._notes.close()
            raise
        self._thread = threading.Thread(target=self._run, name="docker-events", daemon=True)
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
        """As `DockerInventory.instances` lists them; those that came since, in full."""
        with self._lock:
            return {instance.name: instance for instance in self._known.values()}

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
        self._closed.set()
        self._notes.close()
        self._thread.join()

    def _run(self) -> None:
        lost = HypervisorUnreachable(
            f"the connection to {self._url} was lost", hint="Follow it anew."
        )
        try:
            while not self._closed.is_set():
                if (note := self._notes.next(_LOOK_SECONDS)) is not None:
                    self._apply(note[0])
        except StopIteration:
            self._events.put(lost)
        except HyperSDKError as error:
            self._events.put(error if isinstance(error, HypervisorUnreachable) else lost)

    def _apply(self, note: Json) -> None:
        word = note["Action"]
        container, labels = note["Actor"]["ID"], note["Actor"]["Attributes"]
        identity = _identity(labels, container)
        name = labels.get("name", "")
        if word == "destroy":
            if self._containers.get(identity) == container:
                self._forget(identity)
                self._tell(EventKind.REMOVED, identity, name, InstanceState.STOPPED, word)
            return
        if word in _DEFINED:
            found = self._look(identity, container)
            state = found.state if found else InstanceState.STOPPED
            self._tell(EventKind.DEFINED, identity, found.name if found else name, state, word)
            return
        state = _STATES[word]
        if identity not in self._known:
            self._look(identity, container)
        with self._lock:
            if (known := self._known.get(identity)) is not None:
                self._known[identity] = replace(known, state=state)
        self._tell(EventKind.STATE, identity, name, state, word)

    def _look(self, identity: str, container: str) -> Instance | None:
        """Ask the engine; None when it is not there any more."""
        self._containers[identity] = container
        try:
            found = self._inventory.instance(container)
        except InstanceNotFound:
            return None
        with self._lock:
            self._known[identity] = found
        return found

    def _forget(self, identity: str) -> None:
        self._containers.pop(identity, None)
        with self._lock:
            self._known.pop(identity, None)

    def _tell(
        self, kind: EventKind, identity: str, name: str, state: InstanceState, detail: str
    ) -> None:
        now = datetime.now(UTC)
        self._events.put(InstanceEvent(kind, identity, name, state, now, detail))


def _identity(labels: Mapping[str, str], container: str) -> str:
    return labels.get(marks.IDENTITY) or container
