"""How long operations take: every sample is one real call, and all are kept.

A round makes one instance and takes it through its life. The first rounds warm up caches and
connections and are not kept.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from secrets import token_hex

from hypersdk.conformance.results import Sample
from hypersdk.conformance.target import Target
from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.ports import Hypervisor, Inventory, Lifecycle, Limited
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.instances import InstanceState

#: Calls of ``list`` and ``status`` in each round: they are cheap, and their tail is of interest.
READS = 5

Clock = Callable[[], float]


def measure(
    target: Target, *, samples: int, warm_up: int = 1, clock: Clock = time.perf_counter
) -> Iterator[Sample]:
    """``samples`` rounds after ``warm_up`` ones. Nothing at all without a lifecycle.

    Raises what the driver raises; the instance of that round is removed.
    """
    hypervisor = target.connect()
    try:
        if hypervisor.lifecycle is None or hypervisor.inventory is None:
            return
        counts: dict[str, int] = {}
        for number in range(warm_up + samples):
            measured = _Round(target, hypervisor, clock).run()
            if number < warm_up:
                continue
            for operation, seconds in measured:
                index = counts.get(operation, 0)
                counts[operation] = index + 1
                yield Sample(operation=operation, index=index, seconds=seconds)
    finally:
        hypervisor.close()


def lacks(part: object, aspect: str) -> bool:
    """True when a part is absent or says that it lacks ``aspect``."""
    if part is None:
        return True
    return isinstance(part, Limited) and any(each.aspect == aspect for each in part.limits)


class _Round:
    """The life of one instance."""

    def __init__(self, target: Target, hypervisor: Hypervisor, clock: Clock) -> None:
        assert hypervisor.lifecycle is not None
        assert hypervisor.inventory is not None
        self._target = target
        self._lifecycle: Lifecycle = hypervisor.lifecycle
        self._inventory: Inventory = hypervisor.inventory
        self._snapshots = hypervisor.snapshots
        self._clock = clock
        self._name = f"bench-{token_hex(4)}"
        self._measured: list[tuple[str, float]] = []

    def run(self) -> list[tuple[str, float]]:
        token_in_force().check()
        spec = self._target.spec(self._name)
        try:
            self._time("create", lambda: self._lifecycle.create(spec))
            self._time("start", lambda: self._lifecycle.start(self._name))
            for _ in range(READS):
                self._time("status", lambda: self._inventory.instance(self._name))
                self._time("list", lambda: list(self._inventory.instances()))
            self._snapshot(running=True)
            self._stop()
            self._snapshot(running=False)
            self._time("delete", lambda: self._lifecycle.delete(self._name, disks=True))
        except BaseException:
            self._remove()
            raise
        return self._measured

    def _snapshot(self, *, running: bool) -> None:
        """Of the running instance where that is possible, else of the stopped one."""
        made = self._snapshots
        if made is None or lacks(made, "snapshots.running") is running:
            return
        self._time("snapshot", lambda: made.create(self._name, "bench"))
        self._time("snapshot delete", lambda: made.delete(self._name, "bench"))

    def _stop(self) -> None:
        """``stop`` is one that the guest obeyed, else ``force stop``."""
        expectations = self._target.expectations
        if expectations.obeys_stop and not lacks(self._lifecycle, "lifecycle.graceful_stop"):
            token_in_force().wait(expectations.boot)
            limit = expectations.stop
            self._time("stop", lambda: self._lifecycle.stop(self._name, timeout=limit))
        else:
            self._time("force stop", lambda: self._lifecycle.stop(self._name, force=True))

    def _time(self, operation: str, call: Callable[[], object]) -> None:
        began = self._clock()
        call()
        self._measured.append((operation, self._clock() - began))

    def _remove(self) -> None:
        """The failure that led here is the one to tell, not what cleaning up runs into."""
        with contextlib.suppress(HyperSDKError):
            if self._inventory.instance(self._name).state is not InstanceState.STOPPED:
                self._lifecycle.stop(self._name, force=True)
            self._lifecycle.delete(self._name, disks=True)
