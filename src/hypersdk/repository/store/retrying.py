"""Try again when a store is away for a moment.

A wrapper of the same port, and the only place that retries. What it repeats is safe to repeat:
objects are written once, so reading, listing and deleting twice changes nothing, and a repeated
``put_if_absent`` recognises its own earlier, unacknowledged success.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from hypersdk.model.errors import HyperSDKError, ObjectExists, StoreError
from hypersdk.repository.store.ports import ObjectInfo, Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try. The wait doubles each time, with up to ``jitter`` added at random.

    The jitter keeps many writers that a server sent away from coming back at the same moment.
    """

    #: Calls in all, the first included.
    attempts: int = 8
    #: Seconds from the first call after which no further one is begun.
    timeout: float = 120.0
    #: Seconds before the second call.
    wait_first: float = 0.2
    #: Longest wait in seconds, jitter not counted.
    wait_longest: float = 20.0
    #: Seconds.
    jitter: float = 1.0


class Retrying:
    """Repeats operations of ``inner`` that fail with a retryable error.

    When patience ends, the last error is raised with the hint that nothing is lost. ``sleep``
    takes seconds; a caller that wants to cancel during a wait passes one that raises.
    """

    def __init__(
        self,
        inner: Store,
        patience: Patience | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.inner = inner
        self._patience = patience or Patience()
        self._sleep = sleep

    @property
    def url(self) -> str:
        return self.inner.url

    @property
    def latency_bound(self) -> bool:
        return self.inner.latency_bound

    def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
        attempts = 0

        def put() -> None:
            nonlocal attempts
            attempts += 1
            try:
                self.inner.put_if_absent(key, data)
            except ObjectExists:
                # Taken on the first attempt: by someone else. Later: perhaps by an attempt of
                # ours whose answer was lost, or that was still under way when we gave it up.
                if attempts == 1 or not self._holds(key, data):
                    raise

        self._repeat(put)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        return self._repeat(lambda: self.inner.get(key, offset, length))

    def get_into(self, key: str, offset: int, buffer: memoryview) -> None:
        self._repeat(lambda: self.inner.get_into(key, offset, buffer))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """As the port, but collected first: a listing that breaks off begins anew.

        About 300 bytes of memory per object, 10 MB for a TiB in packs.
        """
        yield from self._repeat(lambda: list(self.inner.list(prefix)))

    def folders(self, prefix: str = "") -> tuple[str, ...]:
        return self._repeat(lambda: self.inner.folders(prefix))

    def stat(self, key: str) -> ObjectInfo:
        return self._repeat(lambda: self.inner.stat(key))

    def delete(self, key: str) -> None:
        self._repeat(lambda: self.inner.delete(key))

    def close(self) -> None:
        self.inner.close()

    def _holds(self, key: str, data: bytes | bytearray | memoryview) -> bool:
        """Whether the object is what we wanted to write."""
        view = memoryview(data).cast("B")
        return self.inner.stat(key).size == view.nbytes and self.inner.get(key) == view

    def _repeat(self, operation: Callable[[], T]) -> T:
        patience = self._patience
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_worth_repeating),
            stop=tenacity.stop_after_attempt(patience.attempts)
            | tenacity.stop_before_delay(patience.timeout),
            wait=tenacity.wait_exponential(patience.wait_first, patience.wait_longest)
            + tenacity.wait_random(0, patience.jitter),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(operation)
        except StoreError as error:
            if error.retryable:
                tries = retrying.statistics.get("attempt_number", 1)
                error.hint = (
                    f"Tried {tries} times. Nothing that was stored is lost: "
                    f"the same command continues from it. {error.hint}"
                ).strip()
            raise


def _worth_repeating(error: BaseException) -> bool:
    return isinstance(error, HyperSDKError) and error.retryable
