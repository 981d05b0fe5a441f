"""Leases: how a collector knows who is writing.

A lease is a row of write-once objects ``leases/<session>/<n>``; each renewal writes the next one,
so a host without the right to delete can hold a lease. Ages go by the storage's clock. A writer
trusts its own lease for ``VALID`` after the last renewal it saw succeed; a collector waits much
longer before it takes one for dead, so that slow clocks and slow uploads do not matter.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ulid import ULID

from hypersdk.model.errors import Conflict, HyperSDKError, ObjectExists, StoreError
from hypersdk.repository.format import Context, Kind, dump, wrap
from hypersdk.repository.layout import LEASES
from hypersdk.repository.store.ports import Store

RENEW_EVERY = timedelta(minutes=5)
#: A writer that could not renew for this long must not commit without checking again.
VALID = timedelta(minutes=30)
#: A collector takes a lease for dead when its newest object is older than this.
DEAD_AFTER = timedelta(hours=6)

WRITE, COLLECT = "write", "collect"


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """A lease as others see it."""

    session: str
    purpose: str
    started: datetime
    renewed: datetime

    def alive(self, now: datetime) -> bool:
        """``now`` by the storage's clock."""
        return now - self.renewed < DEAD_AFTER


class Lease:
    """Held from ``begin`` to ``release``; renewed by a thread of its own."""

    def __init__(
        self,
        store: Store,
        context: Context,
        purpose: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._context = context
        self._monotonic = monotonic
        self.session = f"{ULID()}-{purpose}"
        self._count = 0
        self._renewed = 0.0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def begin(self) -> datetime:
        """Take the lease. Returns now by the storage's clock."""
        now = self.renew()
        self._thread.start()
        return now

    def renew(self) -> datetime:
        """Write the next object. Returns now by the storage's clock."""
        with self._lock:
            before = self._monotonic()
            key = f"{LEASES}/{self.session}/{self._count}"
            body = {"host": socket.gethostname(), "process": os.getpid()}
            with contextlib.suppress(ObjectExists):
                self._store.put_if_absent(key, wrap(Kind.LEASE, key, dump(body), self._context))
            self._count += 1
            self._renewed = before
            return self._store.stat(key).modified

    @property
    def lapsed(self) -> bool:
        """True when a collector may soon take this lease for dead."""
        return self._monotonic() - self._renewed > VALID.total_seconds()

    def release(self) -> None:
        """End the lease. A place that does not answer keeps the objects; they die of age."""
        self._ended.set()
        with contextlib.suppress(StoreError):
            for number in range(self._count):
                self._store.delete(f"{LEASES}/{self.session}/{number}")

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_EVERY.total_seconds()):
            with contextlib.suppress(HyperSDKError):  # `lapsed` is what counts at commit
                self.renew()


def refuse_other_collectors(leases: Iterable[LeaseInfo], own: str) -> None:
    """Raises Conflict when somebody else than the session ``own`` may be deleting packs."""
    for lease in leases:
        if lease.purpose == COLLECT and lease.session != own:
            raise Conflict(
                f"another garbage collection has been running since {lease.started:%H:%M:%S} UTC",
                hint="Wait for it; one that was killed is ignored after six hours.",
            )


@contextlib.contextmanager
def exclusive(store: Store, context: Context) -> Iterator[Lease]:
    """Hold the only collector's lease. Raises Conflict; two that begin at once both give up."""
    lease = Lease(store, context, COLLECT)
    now = lease.begin()
    try:
        alive = [other for other in read_leases(store) if other.alive(now)]
        refuse_other_collectors(alive, lease.session)
        yield lease
    finally:
        lease.release()


def read_leases(store: Store) -> list[LeaseInfo]:
    """Every lease, also dead ones; needs no key."""
    times: dict[str, list[datetime]] = {}
    for info in store.list(LEASES):
        session = info.key.split("/")[-2]
        times.setdefault(session, []).append(info.modified)
    return [
        LeaseInfo(session, session.rsplit("-", 1)[-1], min(seen), max(seen))
        for session, seen in times.items()
    ]


def bury_lease(store: Store, lease: LeaseInfo) -> None:
    """Remove the objects of a dead lease."""
    for info in list(store.list(f"{LEASES}/{lease.session}")):
        store.delete(info.key)
