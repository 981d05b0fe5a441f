"""A place that is asked again when it does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import tenacity

from hypersdk.artifacts.places.ports import Place, PlacedFile
from hypersdk.artifacts.streams import Readable, Told, ignore
from hypersdk.datapath.cancel import CancelToken, token_in_force
from hypersdk.model.errors import HyperSDKError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and with what waits in seconds."""

    attempts: int = 5
    wait_first: float = 1.0
    wait_longest: float = 30.0
    #: Added at random, so that many exports do not come back at the same moment.
    jitter: float = 1.0


class RetryingPlace:
    """Repeats what failed with a retryable error.

    A file is brought anew, or from where it stopped where the place can do that. A stream comes
    only once, so its failure is final. Listing and reading are begun again by their callers.
    """

    def __init__(self, inner: Place, patience: Patience | None = None) -> None:
        self.inner = inner
        self.url = inner.url
        self._patience = patience or Patience()

    def put(
        self,
        name: str,
        source: Path | Readable,
        *,
        size: int | None = None,
        overwrite: bool = False,
        progress: Told = ignore,
        pace: Told = ignore,
        cancel: CancelToken | None = None,
    ) -> PlacedFile:
        told = 0

        def tell(count: int) -> None:
            nonlocal told
            told += count
            progress(count)

        def put() -> PlacedFile:
            if told:
                tell(-told)
            return self.inner.put(
                name, source, size=size, overwrite=overwrite, progress=tell, pace=pace,
                cancel=cancel,
            )  # fmt: skip

        return self._repeat(put, cancel) if isinstance(source, Path) else put()

    def read(self, name: str) -> Iterator[bytes]:
        return self.inner.read(name)

    def stat(self, name: str) -> PlacedFile:
        return self._repeat(lambda: self.inner.stat(name))

    def list(self, prefix: str = "") -> Iterator[PlacedFile]:
        return self.inner.list(prefix)

    def delete(self, name: str) -> None:
        self._repeat(lambda: self.inner.delete(name))

    def close(self) -> None:
        self.inner.close()

    def _repeat(self, operation: Callable[[], T], cancel: CancelToken | None = None) -> T:
        token = cancel or token_in_force()
        patience = self._patience
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_worth_repeating),
            stop=tenacity.stop_after_attempt(patience.attempts),
            wait=tenacity.wait_exponential(patience.wait_first, patience.wait_longest)
            + tenacity.wait_random(0, patience.jitter),
            sleep=token.wait,
            reraise=True,
        )
        return retrying(operation)


def _worth_repeating(error: BaseException) -> bool:
    return isinstance(error, HyperSDKError) and error.retryable
