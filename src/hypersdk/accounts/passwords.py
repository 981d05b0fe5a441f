"""Passwords: which are taken, how they are kept (Argon2id), and that a wrong one costs the same.

The parameters are those that RFC 9106 (section 4) recommends where 2 GiB per log-in are too much:
64 MiB, three passes, four lanes; about 50 ms of two cores. They stand in each hash, so raising them
here makes old hashes outdated, and each is made anew when its user logs in.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from hypersdk.accounts.common import weakness
from hypersdk.model.errors import InvalidInput, TooManyRequests

T = TypeVar("T")
#: Characters.
PASSWORD_LEAST = 10
#: Characters; longer ones cost time and protect no better.
PASSWORD_MOST = 1024
PASSES = 3
MEMORY_KIB = 64 << 10
LANES = 4
#: Computations at once: each takes ``MEMORY_KIB``.
AT_ONCE = 2
#: Seconds to wait for one of them.
_PATIENCE = 10.0


def check_strength(password: str, name: str) -> None:
    """Raise InvalidInput unless ``name`` may have it. It is not repeated in the message."""
    if len(password) < PASSWORD_LEAST:
        raise InvalidInput(
            f"the password has {len(password)} characters",
            hint=f"Take {PASSWORD_LEAST} or more; four random words are easily kept in mind.",
        )
    if len(password) > PASSWORD_MOST:
        raise InvalidInput(
            f"the password has {len(password)} characters", hint=f"Take {PASSWORD_MOST} at most."
        )
    if why := weakness(password, name):
        raise InvalidInput(
            f"the password is easily guessed: {why}",
            hint="Take four random words, or let a password store make one.",
        )


class Passwords:
    """Safe in threads. Every check computes exactly one hash, also for users who are not there."""

    def __init__(
        self,
        *,
        passes: int = PASSES,
        memory_kib: int = MEMORY_KIB,
        lanes: int = LANES,
        at_once: int = AT_ONCE,
    ) -> None:
        self._hasher = PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=lanes, type=Type.ID
        )
        self._room = threading.BoundedSemaphore(at_once)
        self._one = threading.Lock()
        self._made_decoy = ""

    def hash(self, password: str) -> str:
        """``$argon2id$…``. Raises TooManyRequests when too many are computed."""
        return self._with_room(lambda: self._hasher.hash(_normal(password)))

    def matches(self, stored: str, password: str) -> bool:
        """``stored`` is empty for whoever is not there or has no password: False, in the same
        time. Raises TooManyRequests when too many are computed."""
        decoy = self._decoy()
        right = self._with_room(lambda: self._verify(stored or decoy, _normal(password)))
        return right and bool(stored)

    def outdated(self, stored: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    def _decoy(self) -> str:
        with self._one:
            if not self._made_decoy:
                self._made_decoy = self._hasher.hash("nobody has this one")
            return self._made_decoy

    def _with_room(self, compute: Callable[[], T]) -> T:
        if not self._room.acquire(timeout=_PATIENCE):
            raise TooManyRequests(
                "too many log-ins at once", hint="Try again in some seconds.", after=5.0
            )
        try:
            return compute()
        finally:
            self._room.release()


def _normal(password: str) -> str:
    """The same characters typed on another system are the same password."""
    return unicodedata.normalize("NFKC", password)
