"""Leases: how a collector knows who is writing.

A lease is a row of write-once objects ``leases/<session>/<n>``; each renewal writes the next one,
so a host without the right to delete can hold a lease. Ages go by the storage's clock alone: a
writer measures its own absence by the times of its lease's objects, as a collector does, because a
machine that was suspended does not see the time that passed. A collector waits much longer than
``VALID`` before it takes a lease for dead, so that slow uploads do not matter.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ulid import ULID

from hypersdk.model.errors import (
    Conflict,
    HyperSDKError,
    LeaseLost,
    ObjectExists,
    ObjectMissing,
    StoreError,
)
from hypersdk.repository.format import Context, Kind, dump, wrap
from hypersdk.repository.layout import LEASES
from hypersdk.repository.store.ports import Store

RENEW_EVERY = timedelta(minutes=5)
#: A writer that could not renew for this long must not commit without checking again.
VALID = timedelta(minutes=30)
#: By how much the order of two objects' times may differ from the order in which others could see
#: them: a slow write carries the time of its beginning, and clocks of a storage are corrected.
SKEW = timedelta(minutes=10)
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

    @property
    def owner(self) -> str:
        """On whose behalf; empty: nobody said."""
        return self.session.partition("-")[2].rpartition("-")[0]

    def alive(self, now: datetime) -> bool:
        """``now`` by the storage's clock."""
        return now - self.renewed < DEAD_AFTER


class Lease:
    """Held from ``begin`` to ``release``; renewed by a thread of its own."""

    def __init__(self, store: Store, context: Context, purpose: str, owner: str = "") -> None:
        """``owner``: on whose behalf, a word that comes back when it begins anew after a crash."""
        self._store = store
        self._context = context
        self.owner = owner
        self.session = "-".join(filter(None, (str(ULID()), owner, purpose)))
        #: True once a collector may have taken this lease for dead; ``renew`` finds out.
        self.lapsed = False
        self._count = 0
        self._renewed: datetime | None = None
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
            return self._renew()

    def require(self) -> None:
        """Renew. Raises LeaseLost after an absence: what was seen before may be untrue by now."""
        self.renew()
        if self.lapsed:
            raise lease_lost(self._store)

    def covers(self, moment: datetime) -> bool:
        """True when the lease was alive at this time of the storage, by its last renewal."""
        if self._renewed is None or not _unbroken(self._renewed, moment):
            self.lapsed = True
        return not self.lapsed

    def abandon(self) -> None:
        """Renew no more. The objects die of age."""
        self._ended.set()

    def release(self) -> None:
        """End the lease. A place that does not answer keeps the objects; they die of age."""
        self.abandon()
        with self._lock, contextlib.suppress(StoreError):
            for number in range(self._count):
                self._store.delete(f"{LEASES}/{self.session}/{number}")

    def _renew(self) -> datetime:
        key = f"{LEASES}/{self.session}/{self._count}"
        body = {"host": socket.gethostname(), "process": os.getpid()}
        with contextlib.suppress(ObjectExists):
            self._store.put_if_absent(key, wrap(Kind.LEASE, key, dump(body), self._context))
        self._count += 1
        try:
            now = self._store.stat(key).modified
        except ObjectMissing:  # we slept, and a collector took the object away as a dead one's
            self.lapsed = True
            return self._renew()
        if self._renewed is not None and not _unbroken(self._renewed, now):
            self.lapsed = True
        self._renewed = now
        return now

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_EVERY.total_seconds()):
            with self._lock, contextlib.suppress(HyperSDKError):  # the commit tries again
                if not self._ended.is_set():
                    self._renew()


def _unbroken(renewed: datetime, moment: datetime) -> bool:
    return -SKEW <= moment - renewed <= VALID


def lease_lost(store: Store) -> LeaseLost:
    """The error of whoever was away for so long that a collector may have acted."""
    return LeaseLost(
        f"the work on {store.url} was interrupted for too long: what it relies on may have been "
        "collected; nothing was committed",
        hint="Run it again: what is still stored is reused.",
    )


def refuse_other_collectors(leases: Iterable[LeaseInfo], own: str) -> None:
    """Raises Conflict when somebody else than the session ``own`` may be deleting packs."""
    for lease in leases:
        if lease.purpose == COLLECT and lease.session != own:
            raise Conflict(
                f"another garbage collection has been running since {lease.started:%H:%M:%S} UTC",
                hint="Wait for it; one that was killed is ignored after six hours.",
            )


@contextlib.contextmanager
def exclusive(store: Store, lease: Lease) -> Iterator[None]:
    """Hold the only collector's lease. Raises Conflict; two that begin at once both give up.

    A lease of the same owner is what its killed run left, and goes; should that run live after
    all, it notices before it deletes anything.
    """
    now = lease.begin()
    try:
        alive = [other for other in read_leases(store) if other.alive(now)]
        for other in alive:
            if lease.owner and other.owner == lease.owner and other.session != lease.session:
                bury_lease(store, other)
        alive = [each for each in alive if not lease.owner or each.owner != lease.owner]
        refuse_other_collectors(alive, lease.session)
        yield
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
    """Remove the objects of a dead lease, but none by which its holder has come back since."""
    for info in list(store.list(f"{LEASES}/{lease.session}")):
        if info.modified <= lease.renewed:
            store.delete(info.key)
