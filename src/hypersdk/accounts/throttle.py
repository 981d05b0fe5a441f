"""Log-ins are slowed down when they fail, without locking out anybody who did nothing.

Three counts, each of which lets some failures pass and then doubles the wait with every further
one: of a user from one address, of one address, and of one user from everywhere. The last two do
not apply to a user from an address where this user logged in before, so neither guessing at
somebody's name nor sharing an address with whoever guesses keeps anybody out. Kept in memory: a
restart forgets.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from hypersdk.model.errors import TooManyRequests


@dataclass(frozen=True, slots=True)
class Patience:
    """What one count allows."""

    #: Failures without a wait.
    free: int
    #: Seconds at most.
    longest: float


PAIR = Patience(free=5, longest=900.0)
ADDRESS = Patience(free=20, longest=300.0)
USER = Patience(free=100, longest=60.0)
#: Seconds without a failure after which a count begins anew.
FORGET_SECONDS = 3600.0
#: Counts kept; the oldest go first.
_KEPT = 20_000

#: Characters of a name that are looked at.
_NAME_MOST = 128

_Key = tuple[str, ...]


@dataclass(slots=True)
class _Count:
    failures: int
    #: Monotonic; not before.
    until: float
    last: float


class LoginThrottle:
    """Safe in threads."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, attempts: int = PAIR.free
    ) -> None:
        """``attempts``: wrong passwords of one user from one address without a wait."""
        self._clock = clock
        self._pair = Patience(attempts, PAIR.longest)
        self._one = threading.Lock()
        self._counts: OrderedDict[_Key, _Count] = OrderedDict()
        self._known: OrderedDict[_Key, None] = OrderedDict()

    def enter(self, user: str, origin: str) -> None:
        """Before a password is looked at. It counts as a failure until `succeeded`, so that many
        at once get no further than one after another. Raises TooManyRequests."""
        with self._one:
            now = self._clock()
            keys = self._keys(user[:_NAME_MOST], _network(origin))
            wait = max(self._wait(key, now) for key, _ in keys)
            if wait > 0:
                raise TooManyRequests(
                    "too many log-ins failed",
                    hint=f"Try again in {int(wait) + 1} seconds.",
                    after=wait,
                )
            for key, patience in keys:
                self._count(key, patience, now)

    def succeeded(self, user: str, origin: str) -> None:
        """The log-in that entered was right."""
        user, network = user[:_NAME_MOST], _network(origin)
        with self._one:
            for key, _ in self._keys(user, network)[1:]:
                if key in self._counts:
                    self._counts[key].failures -= 1
            self._counts.pop(("pair", user, network), None)
            self._known[user, network] = None
            self._known.move_to_end((user, network))
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)

    def _keys(self, user: str, network: str) -> tuple[tuple[_Key, Patience], ...]:
        pair = (("pair", user, network), self._pair)
        if (user, network) in self._known:
            return (pair,)
        return (pair, (("address", network), ADDRESS), (("user", user), USER))

    def _wait(self, key: _Key, now: float) -> float:
        found = self._counts.get(key)
        return 0.0 if found is None else found.until - now

    def _count(self, key: _Key, patience: Patience, now: float) -> None:
        found = self._counts.pop(key, None)
        if found is None or now - found.last > FORGET_SECONDS:
            found = _Count(0, now, now)
        found.failures += 1
        found.last = now
        over = found.failures - patience.free
        found.until = now + min(patience.longest, 2.0 ** min(over, 30)) if over > 0 else now
        self._counts[key] = found
        while len(self._counts) > _KEPT:
            self._counts.popitem(last=False)


def _network(origin: str) -> str:
    """An address; of IPv6 the /64, all of which one host may use."""
    try:
        address = ipaddress.ip_address(origin)
    except ValueError:
        return origin
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return origin
