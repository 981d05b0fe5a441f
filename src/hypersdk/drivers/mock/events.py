"""An inventory that the hypervisor's own notices keep current, also between processes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.inventory import MockInventory
from hypersdk.drivers.mock.notices import Notice, Reader
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import HypervisorError, HypervisorUnreachable, InstanceNotFound
from hypersdk.model.instances import EventKind, Instance, InstanceEvent

#: Seconds between looks at the file.
_LOOK_SECONDS = 0.02


class MockEvents:
    """The ``events`` part. Any number may follow at once."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def follow(self) -> MockFollowing:
        self._root.check()
        with native(f"follow the events of {self._root.path}"):
            return MockFollowing(self._root)


class MockFollowing:
    """See the port. Any thread may call it."""

    def __init__(self, root: Root) -> None:
        self._inventory = MockInventory(root)
        self._root = root
        self._path = root.path
        self._cuts = root.cuts
        self._lock = threading.Lock()
        self._open = True
        self._waiting: deque[Notice] = deque()
        # Before the list is read: what happens meanwhile is told, and done over again in order.
        self._reader = Reader(root.path)
        self._known = {instance.id: instance for instance in self._inventory.instances()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._open = False
            self._reader.close()

    def instances(self) -> Mapping[str, Instance]:
        with self._lock:
            return {instance.name: instance for instance in self._known.values()}

    def next(self, timeout: float) -> InstanceEvent | None:
        """Raises HypervisorUnreachable when the hypervisor's folder is gone."""
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                if (event := self._taken()) is not None:
                    return event
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            token_in_force().wait(min(left, _LOOK_SECONDS))

    def _taken(self) -> InstanceEvent | None:
        if not self._open:
            raise HypervisorError(f"following {self._path} was ended", hint="Follow it anew.")
        if self._root.cuts != self._cuts:
            raise HypervisorUnreachable(
                f"the connection to mock://{self._path} was lost", hint="Follow it anew."
            )
        if not self._waiting:
            try:
                self._waiting.extend(self._reader.read())
            except FileNotFoundError as error:
                raise HypervisorUnreachable(
                    f"the mock hypervisor in {self._path} is gone", hint="Follow it anew."
                ) from error
        return self._applied(self._waiting.popleft()) if self._waiting else None

    def _applied(self, notice: Notice) -> InstanceEvent:
        """Bring what we know up to date."""
        known = self._known.get(notice.id)
        if notice.kind is EventKind.REMOVED:
            self._known.pop(notice.id, None)
        elif notice.kind is EventKind.STATE and known is not None:
            self._known[notice.id] = replace(known, state=notice.state)
        else:
            try:
                found = self._inventory.instance(notice.id)
                self._known[notice.id] = replace(found, state=notice.state)
            except InstanceNotFound:  # gone again; that has its own notice
                pass
        return InstanceEvent(
            kind=notice.kind,
            id=notice.id,
            name=notice.name,
            state=notice.state,
            time=datetime.now(UTC),
            detail=notice.detail,
        )
