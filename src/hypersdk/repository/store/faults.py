"""A store that fails on command, to prove what the layers above do then.

Public, because whoever builds on the ``Store`` port can use it in tests of their own::

    store = FaultStore(MemoryStore())
    store.crash_at_write(3)                      # the process "dies" before the third write
    store.fail("get_into", StoreUnavailable("away"), times=3)
    store.flip("pack/ab", bit=12345)             # one damaged bit, same name
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from hypersdk.repository.store.ports import ObjectInfo, Store

T = TypeVar("T")

Operation = Literal["put_if_absent", "get", "get_into", "list", "stat", "delete"]
#: Operations that change the store; ``crash_at_write`` counts these.
WRITES: tuple[Operation, ...] = ("put_if_absent", "delete")


class SimulatedCrash(BaseException):
    """The process died here. No ``except Exception`` may catch it, as none survives a kill."""


@dataclass(slots=True)
class _Failure:
    """``times`` failures of an operation, after ``skip`` calls that succeed."""

    operation: Operation
    error: Exception
    skip: int
    #: None: for ever.
    times: int | None
    #: The operation is done and only its answer is lost.
    after: bool

    def strikes(self) -> bool:
        """Count one call; True when it fails."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is None:
            return True
        if self.times > 0:
            self.times -= 1
            return True
        return False


class FaultStore:
    """Passes everything to ``inner``, counts it, and fails where a plan says so.

    Writes stay whole: what crashes before a write leaves nothing, after it the whole object, as
    the port demands of every store.
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        #: Every operation begun, with its key or prefix, in order.
        self.journal: list[tuple[Operation, str]] = []
        #: Calls per operation, the failed ones included.
        self.calls: Counter[Operation] = Counter()
        #: Writes begun since the last ``crash_at_write`` or ``revive``.
        self.writes = 0
        self._lock = threading.Lock()
        self._failures: list[_Failure] = []
        self._crash_at: int | None = None
        self._crash_after = False
        self._dead = False

    # -- plans

    def crash_at_write(self, number: int, *, after: bool = False) -> None:
        """Die at the ``number``-th write from now, counted from 1; ``after`` it is done or before.

        Every later call dies too, as in a process that is gone, until ``revive``.
        """
        with self._lock:
            self.writes = 0
            self._crash_at = number
            self._crash_after = after

    def revive(self) -> None:
        """A new process: no crash is planned, and calls work again. Other plans stay."""
        with self._lock:
            self.writes = 0
            self._crash_at = None
            self._dead = False

    @property
    def crashed(self) -> bool:
        """Whether the planned crash has happened."""
        return self._dead

    def fail(
        self,
        operation: Operation,
        error: Exception,
        *,
        times: int | None = 1,
        skip: int = 0,
        after: bool = False,
    ) -> None:
        """Let an operation raise ``error``.

        The first ``skip`` calls succeed, then ``times`` fail (None: all). With ``after`` the
        operation is done and only its answer is lost.
        """
        with self._lock:
            self._failures.append(_Failure(operation, error, skip, times, after))

    def heal(self) -> None:
        """Forget all planned failures."""
        with self._lock:
            self._failures.clear()

    # -- damage, done behind the back of whoever uses the store

    def flip(self, key: str, bit: int) -> None:
        """Turn one bit of a stored object, counted from the first byte's lowest."""
        data = bytearray(self.inner.get(key))
        data[bit // 8] ^= 1 << bit % 8
        self.replace(key, bytes(data))

    def replace(self, key: str, data: bytes) -> None:
        """Give an object other bytes under the same name."""
        self.inner.delete(key)
        self.inner.put_if_absent(key, data)

    def vanish(self, key: str) -> None:
        """Lose an object."""
        self.inner.delete(key)

    # -- the port

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def latency_bound(self) -> bool:
        return self.inner.latency_bound

    def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
        self._call("put_if_absent", key, lambda: self.inner.put_if_absent(key, data))

    def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        return self._call("get", key, lambda: self.inner.get(key, offset, length))

    def get_into(self, key: str, offset: int, buffer: memoryview) -> None:
        self._call("get_into", key, lambda: self.inner.get_into(key, offset, buffer))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        yield from self._call("list", prefix, lambda: list(self.inner.list(prefix)))

    def folders(self, prefix: str = "") -> tuple[str, ...]:
        return self._call("list", prefix, lambda: self.inner.folders(prefix))

    def stat(self, key: str) -> ObjectInfo:
        return self._call("stat", key, lambda: self.inner.stat(key))

    def delete(self, key: str) -> None:
        self._call("delete", key, lambda: self.inner.delete(key))

    def close(self) -> None:
        self.inner.close()

    # -- how a call fails

    def _call(self, operation: Operation, key: str, act: Callable[[], T]) -> T:
        before, after = self._fate(operation, key)
        if before is not None:
            raise before
        result = act()
        if after is not None:
            raise after
        return result

    def _fate(
        self, operation: Operation, key: str
    ) -> tuple[BaseException | None, BaseException | None]:
        """What this call raises before and after it acts."""
        with self._lock:
            if self._dead:
                return SimulatedCrash(f"{operation} {key}: the process is dead"), None
            self.journal.append((operation, key))
            self.calls[operation] += 1
            if operation in WRITES:
                self.writes += 1
                if self.writes == self._crash_at:
                    self._dead = True
                    crash = SimulatedCrash(f"{operation} {key}: write {self.writes}")
                    return (None, crash) if self._crash_after else (crash, None)
            for failure in self._failures:
                if failure.operation == operation and failure.strikes():
                    error = failure.error.with_traceback(None)
                    return (None, error) if failure.after else (error, None)
            return None, None
