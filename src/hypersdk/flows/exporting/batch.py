"""Many instances, a few at a time: per host and per datastore too, since they share what these
can give. One that fails does not stop the others."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from hypersdk.datapath.cancel import WAIT_SLICE, CancelToken
from hypersdk.drivers.ports import Hypervisor
from hypersdk.flows.exporting.export import export_instance
from hypersdk.flows.exporting.layout import safe_name
from hypersdk.flows.exporting.options import BatchLimits, ExportOptions
from hypersdk.flows.exporting.plan import details_or_none
from hypersdk.flows.exporting.results import BatchItem, BatchReport, BatchState
from hypersdk.model.details import InstanceDetails
from hypersdk.model.errors import HyperSDKError, Interrupted, NotSupported
from hypersdk.model.instances import Instance
from hypersdk.model.progress import Reporter, silent


def export_batch(
    hypervisor: Hypervisor,
    names: Sequence[str],
    folder: Path,
    *,
    options: ExportOptions | None = None,
    limits: BatchLimits | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
    settled: Callable[[BatchItem], None] = lambda _: None,
) -> BatchReport:
    """Export each instance into a folder of its own below ``folder``, named after it.

    ``settled`` is called with each as it ends, from one thread at a time. Errors of an instance
    are in its item; only what concerns all of them is raised: InvalidInput, NotSupported.
    """
    options = options or ExportOptions()
    began = time.monotonic()
    run = _Batch(
        hypervisor, options, limits or BatchLimits(), reporter, cancel or CancelToken(), settled
    )
    items = run.export(names, Path(folder))
    return BatchReport(items=tuple(items), seconds=time.monotonic() - began)


@dataclass(slots=True)
class _Entry:
    """One instance of the batch."""

    name: str
    folder: Path
    error: HyperSDKError | None = None
    #: What it shares with others: ``("host", name)``, ``("datastore", name)``.
    uses: tuple[tuple[str, str], ...] = ()
    item: BatchItem | None = field(default=None)


class _Batch:
    """One run."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        options: ExportOptions,
        limits: BatchLimits,
        reporter: Reporter,
        cancel: CancelToken,
        settled: Callable[[BatchItem], None],
    ) -> None:
        if hypervisor.inventory is None:
            raise NotSupported(f"{hypervisor.url} does not list instances")
        self._hypervisor, self._inventory = hypervisor, hypervisor.inventory
        self._options, self._limits = options, limits
        self._reporter, self._cancel, self._settled = reporter, cancel, settled
        self._lock = threading.Condition()
        self._busy: Counter[tuple[str, str]] = Counter()
        self._waiting: list[_Entry] = []

    def export(self, names: Sequence[str], folder: Path) -> list[BatchItem]:
        entries = list(self._resolved(names, folder))
        self._waiting = list(entries)
        count = min(self._limits.total, len(entries))
        threads = [
            threading.Thread(target=copy_context().run, args=(self._serve,), name="export")
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        self._wait_for(threads)
        return [entry.item or self._skipped(entry) for entry in entries]

    def _wait_for(self, threads: Sequence[threading.Thread]) -> None:
        while any(thread.is_alive() for thread in threads):
            try:
                for thread in threads:
                    thread.join(WAIT_SLICE)
            except BaseException:
                self._cancel.cancel()
                for thread in threads:
                    thread.join()
                raise

    def _resolved(self, names: Sequence[str], folder: Path) -> Iterator[_Entry]:
        taken: set[str] = set()
        for name in names:
            error: HyperSDKError | None = None
            uses: tuple[tuple[str, str], ...] = ()
            called = name
            try:
                self._cancel.check()
                instance = self._inventory.instance(name)
                called = instance.name
                uses = shared(self._hypervisor, instance)
            except Interrupted:
                pass  # it is skipped when its turn comes
            except HyperSDKError as failure:
                error = failure
            yield _Entry(name, folder / _distinct(safe_name(called), taken), error, uses)

    def _serve(self) -> None:
        while (entry := self._next()) is not None:
            try:
                item = self._export(entry)
            finally:
                self._release(entry)
            with self._lock:
                entry.item = item
                self._settled(item)

    def _next(self) -> _Entry | None:
        """The first whose hosts and datastores have room; waits for one."""
        with self._lock:
            while self._waiting and not self._cancel.cancelled:
                for entry in self._waiting:
                    if self._has_room(entry):
                        self._waiting.remove(entry)
                        self._busy.update(entry.uses)
                        return entry
                self._lock.wait(WAIT_SLICE)
            return None

    def _has_room(self, entry: _Entry) -> bool:
        most = {"host": self._limits.per_host, "datastore": self._limits.per_datastore}
        return all(self._busy[use] < most[use[0]] for use in entry.uses)

    def _release(self, entry: _Entry) -> None:
        with self._lock:
            self._busy.subtract(entry.uses)
            self._lock.notify_all()

    def _export(self, entry: _Entry) -> BatchItem:
        began = time.monotonic()
        exported, error = None, entry.error
        if error is None:
            try:
                exported = export_instance(
                    self._hypervisor,
                    entry.name,
                    entry.folder,
                    options=self._options,
                    reporter=self._reporter,
                    cancel=self._cancel,
                )
            except HyperSDKError as failure:
                error = failure
                with suppress(OSError):
                    entry.folder.rmdir()  # only when nothing is in it
        return BatchItem(
            name=entry.name,
            folder=entry.folder,
            state=BatchState.EXPORTED if exported else BatchState.FAILED,
            exported=exported,
            error=error,
            seconds=time.monotonic() - began,
        )

    def _skipped(self, entry: _Entry) -> BatchItem:
        item = BatchItem(name=entry.name, folder=entry.folder, state=BatchState.SKIPPED)
        self._settled(item)
        return item


def shared(hypervisor: Hypervisor, instance: Instance) -> tuple[tuple[str, str], ...]:
    """What an instance shares with others: its host, and the datastores or folders of its disks."""
    details = details_or_none(hypervisor, instance.name)
    host = details.host if details and details.host else hypervisor.url
    stores = sorted(_stores(instance, details))
    return (("host", host), *(("datastore", store) for store in stores))


def _stores(instance: Instance, details: InstanceDetails | None) -> set[str]:
    if details is not None and details.storage:
        return {store.name for store in details.storage}
    found = set()
    for disk in instance.disks:
        if disk.path.startswith("["):
            found.add(disk.path[1:].partition("]")[0])
        elif disk.path:
            # The place of its pool: instances often have folders of their own in it.
            found.add(str(PurePath(disk.path).parent))
    return found


def _distinct(name: str, taken: set[str]) -> str:
    """A name that no other has, also where file systems do not tell upper from lower case."""
    found, number = name, 1
    while found.casefold() in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found.casefold())
    return found
