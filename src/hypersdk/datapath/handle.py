"""What every handle on blocks has in common: closing, and sharing what clones share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from hypersdk.model.errors import DataPathError

T = TypeVar("T")


class Handle(ABC):
    """The context manager part of both ports."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the handle holds. May be called several times."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Shared(Generic[T]):
    """A resource that several handles hold; ``give_back`` runs once, when the last releases it."""

    def __init__(self, value: T, give_back: Callable[[T], None]) -> None:
        self.value = value
        self._give_back = give_back
        self._holders = 1
        self._lock = threading.Lock()

    def hold(self) -> None:
        """Count one more holder."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Count one holder less. Each holder calls it exactly once."""
        with self._lock:
            self._holders -= 1
            last = self._holders == 0
        if last:
            self._give_back(self.value)


def check_range(size: int, start: int, length: int, what: str) -> None:
    """Raise DataPathError unless ``[start, start + length)`` lies on a disk of ``size`` bytes."""
    if start < 0 or length < 0 or start + length > size:
        raise DataPathError(
            f"{what}: {length} bytes at {start} do not lie on a disk of {size} bytes"
        )
