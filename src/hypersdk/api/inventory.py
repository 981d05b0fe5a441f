"""Instances as they were listed a moment ago: asking hypervisors anew for every page of a list
would load them more than their work does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.connections import Connections
from hypersdk.flows.fleet.inventory import ASKED_AT_ONCE
from hypersdk.flows.fleet.members import failure
from hypersdk.flows.fleet.parallel import run_each
from hypersdk.model.errors import HyperSDKError, NotSupported
from hypersdk.model.estate import INVENTORY_REFRESHED, Event, HypervisorRecord
from hypersdk.model.instances import Instance
from hypersdk.model.jobs import Job

#: Seconds for which a list is good.
FRESH = 15.0


@dataclass(frozen=True, slots=True)
class Listed:
    """What one hypervisor said."""

    hypervisor: str
    #: By name.
    instances: tuple[Instance, ...]
    #: Seconds since it was asked.
    age: float
    error: HyperSDKError | None = None


@dataclass(slots=True)
class _Known:
    """Of one hypervisor; whoever asks it holds ``asking``."""

    asking: threading.Lock = field(default_factory=threading.Lock)
    revision: int = -1
    asked: float = float("-inf")
    instances: tuple[Instance, ...] = ()
    error: HyperSDKError | None = None


class Inventory:
    """Safe in threads."""

    def __init__(
        self, connections: Connections, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def of(
        self, hypervisors: Sequence[HypervisorRecord], *, refresh: bool = False
    ) -> tuple[Listed, ...]:
        """What all of these have, in their order; those that must be asked are asked at once."""
        return tuple(
            run_each(
                hypervisors,
                lambda record: self._of(record, refresh=refresh),
                skip=lambda record: Listed(record.name, (), 0.0),
                key=lambda record: record.name,
                workers=ASKED_AT_ONCE,
                per_key=1,
                cancel=CancelToken(),
            )
        )

    def forget(self, hypervisor: str) -> None:
        """Something was changed there: the next list is asked for."""
        with self._lock:
            known = self._known.get(hypervisor)
        if known is not None:
            known.asked = float("-inf")

    def changed(self, jobs: Sequence[Job], events: Sequence[Event]) -> None:  # noqa: ARG002
        """For the feed: forget the lists of hypervisors of which jobs told something."""
        for event in events:
            if event.name == INVENTORY_REFRESHED or event.name.startswith("vm."):
                what, _, rest = event.subject.partition("/")
                if what == "hypervisors":
                    self.forget(rest.partition("/")[0])

    def _of(self, record: HypervisorRecord, *, refresh: bool) -> Listed:
        with self._lock:
            known = self._known.setdefault(record.name, _Known())
        arrived = self._clock()
        with known.asking:
            # Somebody else may have asked while we waited for our turn.
            oldest = arrived if refresh else self._clock() - FRESH
            if known.revision != record.revision or known.asked < oldest:
                self._ask(known, record)
            age = max(0.0, self._clock() - known.asked)
            return Listed(record.name, known.instances, age, known.error)

    def _ask(self, known: _Known, record: HypervisorRecord) -> None:
        asked = self._clock()
        known.instances, known.error = (), None
        try:
            with self._connections.using_hypervisor(record.name) as hypervisor:
                found = sorted(_all_of(hypervisor), key=lambda each: (each.name, each.id))
            known.instances = tuple(found)
        except Exception as error:  # noqa: BLE001 - reported beside what the others have
            known.error = failure(error)
        known.revision, known.asked = record.revision, asked


def _all_of(hypervisor: Hypervisor) -> Iterator[Instance]:
    if hypervisor.inventory is None:
        raise NotSupported(
            f"{hypervisor.url} cannot list its instances", hint="Name an instance instead."
        )
    return hypervisor.inventory.instances()


def inventory_of(connection: HTTPConnection) -> Inventory:
    found = connection.app.state.inventory
    assert isinstance(found, Inventory)
    return found
