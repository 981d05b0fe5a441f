"""Many instances at once: is anything lost, and how long does a question take meanwhile?

Every worker makes its share of the instances, leaves each of them running, paused or stopped, and
reads back what it did; others ask for the state of random instances all the while. In the end the
hypervisor must show every instance in the state in which its worker left it, and as many snapshots
of one instance as were taken of it at the same time.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from secrets import token_hex

from hypersdk.conformance.benchmark import lacks
from hypersdk.conformance.results import Sample
from hypersdk.conformance.target import Target
from hypersdk.drivers.ports import Hypervisor, Inventory, Lifecycle
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.instances import InstanceState

#: Threads that ask for states while the others work.
PROBES = 2
#: Seconds between two questions of one of them.
PAUSE = 0.004
#: Snapshots of one instance that are taken at the same time.
SNAPSHOTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdFigures:
    """What was measured, and what went wrong."""

    instances: int
    workers: int
    seconds: float
    #: ``crowd create``, ``crowd start``, ``crowd status`` …
    samples: tuple[Sample, ...]
    #: Operations that failed, and acknowledged ones that the hypervisor does not show. Sentences.
    lost: tuple[str, ...]


def crowd(target: Target, *, instances: int = 1000, workers: int = 200) -> CrowdFigures:
    """Make, run, observe and delete ``instances`` with ``workers`` operations at a time."""
    began = time.perf_counter()
    hypervisor = target.connect()
    try:
        made = _Crowd(target, hypervisor, instances, min(workers, instances))
        made.run()
    finally:
        hypervisor.close()
    return CrowdFigures(
        instances=instances,
        workers=made.workers,
        seconds=time.perf_counter() - began,
        samples=made.record.samples(),
        lost=tuple(made.record.lost),
    )


@dataclass
class _Record:
    """Filled by all threads."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def timed(self, operation: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        spent = time.perf_counter() - began
        with self._lock:
            self.seconds.setdefault(f"crowd {operation}", []).append(spent)

    def lose(self, sentence: str) -> None:
        with self._lock:
            self.lost.append(sentence)

    def samples(self) -> tuple[Sample, ...]:
        return tuple(
            Sample(operation=operation, index=index, seconds=seconds)
            for operation, all_seconds in self.seconds.items()
            for index, seconds in enumerate(all_seconds)
        )


class _Crowd:
    def __init__(
        self, target: Target, hypervisor: Hypervisor, instances: int, workers: int
    ) -> None:
        assert hypervisor.lifecycle is not None
        assert hypervisor.inventory is not None
        self.workers = workers
        self.record = _Record()
        self._target = target
        self._hypervisor = hypervisor
        self._lifecycle: Lifecycle = hypervisor.lifecycle
        self._inventory: Inventory = hypervisor.inventory
        self._prefix = f"crowd-{token_hex(4)}-"
        self._names = [f"{self._prefix}{number}" for number in range(instances)]
        self._ids: dict[str, str] = {}
        self._pauses = not lacks(self._lifecycle, "lifecycle.pause")

    def run(self) -> None:
        with ThreadPoolExecutor(max_workers=self.workers) as pool:
            try:
                self._each(pool, self._make, self._names)
                with self._probing():
                    self._each(pool, self._work, self._names)
                self._compare()
                self._snapshots(pool)
            finally:
                self._each(pool, self._remove, self._names)
        left = [one.name for one in self._inventory.instances() if one.name in self._ids]
        for name in left:
            self.record.lose(f"{name} was deleted and is still there")

    def _each(
        self, pool: ThreadPoolExecutor, call: Callable[[str], None], names: Sequence[str]
    ) -> None:
        jobs: list[Future[None]] = [pool.submit(call, name) for name in names]
        for name, job in zip(names, jobs, strict=True):
            try:
                job.result()
            except HyperSDKError as error:
                self.record.lose(f"{name}: {error.message}")

    def _make(self, name: str) -> None:
        spec = self._target.spec(name)
        with self.record.timed("create"):
            self._ids[name] = self._lifecycle.create(spec).id

    def _left_in(self, name: str) -> InstanceState:
        """By its number; a third each where there is pausing."""
        states = [InstanceState.RUNNING, InstanceState.STOPPED]
        states += [InstanceState.PAUSED] if self._pauses else []
        return states[int(name.removeprefix(self._prefix)) % len(states)]

    def _work(self, name: str) -> None:
        with self.record.timed("start"):
            self._lifecycle.start(name)
        wanted = self._left_in(name)
        if wanted is InstanceState.PAUSED:
            with self.record.timed("pause"):
                self._lifecycle.pause(name)
        elif wanted is InstanceState.STOPPED:
            with self.record.timed("stop"):
                self._lifecycle.stop(name, force=True)
        with self.record.timed("read back"):
            seen = self._inventory.instance(name).state
        if seen is not wanted:
            self.record.lose(f"{name} was left {wanted.value} and reads {seen.value}")

    @contextlib.contextmanager
    def _probing(self) -> Iterator[None]:
        ended = threading.Event()

        def probe(seed: int) -> None:
            dice = random.Random(seed)  # noqa: S311 - chooses what to look at
            while not ended.wait(PAUSE):
                name = dice.choice(self._names)
                try:
                    with self.record.timed("status"):
                        self._inventory.instance(name)
                except HyperSDKError as error:
                    self.record.lose(f"status of {name}: {error.message}")

        threads = [threading.Thread(target=probe, args=(seed,)) for seed in range(PROBES)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def _compare(self) -> None:
        with self.record.timed("list"):
            seen = {one.name: one for one in self._inventory.instances()}
        for name, id in self._ids.items():
            wanted = self._left_in(name)
            if name not in seen:
                self.record.lose(f"{name} is not listed")
            elif seen[name].id != id:
                self.record.lose(f"{name} got another id")
            elif seen[name].state is not wanted:
                self.record.lose(
                    f"{name} was left {wanted.value} and is listed as {seen[name].state.value}"
                )

    def _snapshots(self, pool: ThreadPoolExecutor) -> None:
        """All of one stopped instance: whoever keeps them in one record must not lose any."""
        part = self._hypervisor.snapshots
        stopped = [n for n in self._names if self._left_in(n) is InstanceState.STOPPED]
        if part is None or not stopped:
            return
        wanted = {f"at-once-{number}" for number in range(SNAPSHOTS)}

        def take(snapshot: str) -> None:
            with self.record.timed("snapshot"):
                part.create(stopped[0], snapshot)

        self._each(pool, take, sorted(wanted))
        for missing in sorted(wanted - {each.name for each in part.snapshots(stopped[0])}):
            self.record.lose(f"snapshot {missing} was taken and is not listed")

    def _remove(self, name: str) -> None:
        if name not in self._ids:
            return
        self._lifecycle.stop(name, force=True)
        with self.record.timed("delete"):
            self._lifecycle.delete(name, disks=True)
