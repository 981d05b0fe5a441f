"""Chance that comes out the same whatever order threads run in.

Each decision is made from the seed and from what it is about, never from what was decided before.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Hashable


def chance(seed: int, *about: object) -> float:
    """A number from 0 to below 1."""
    text = "\0".join(map(str, (seed, *about)))
    return int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:8]) / 2**64


class Count:
    """Counts by key, from 1; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Hashable] = Counter()

    def next(self, key: Hashable) -> int:
        with self._lock:
            self._counts[key] += 1
            return self._counts[key]
