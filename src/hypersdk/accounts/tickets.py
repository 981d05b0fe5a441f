"""Tickets: what a browser, which cannot send headers with an event stream, shows in their place.

A ticket is good once and for half a minute, so finding it in a log of URLs helps nobody. Tickets
are kept in memory by their digests: they do not outlive the daemon.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from hypersdk.model.accounts import Principal

#: Seconds.
TICKET_SECONDS = 30.0
#: Tickets that wait for their use; the oldest go first.
_KEPT = 10_000


class Tickets:
    """Safe in threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._one = threading.Lock()
        self._issued: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    def issue(self, principal: Principal) -> str:
        """A ticket with which one request is ``principal``'s."""
        ticket = secrets.token_urlsafe(32)
        with self._one:
            self._issued[_digest(ticket)] = (principal, self._clock() + TICKET_SECONDS)
            while len(self._issued) > _KEPT:
                self._issued.popitem(last=False)
        return ticket

    def redeem(self, ticket: str) -> Principal | None:
        """Whose it is; None when it was used, is too old, or never was."""
        with self._one:
            found = self._issued.pop(_digest(ticket), None)
        if found is None or found[1] < self._clock():
            return None
        return found[0]


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
