"""Tell systemd how it is: ready, reloading, stopping, alive (sd_notify(3)).

Without systemd (no ``NOTIFY_SOCKET``) nothing is said and nothing fails.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Of the time that systemd waits for a sign of life, when the next one is sent.
_PART = 0.4


@dataclass(frozen=True, slots=True)
class Notifier:
    """Says something to systemd."""

    #: Path of its socket; ``@`` stands for an abstract one. Empty: there is none.
    address: str = ""
    #: Seconds between signs of life; None: nobody waits for them.
    interval: float | None = None
    _pid: int = field(default_factory=os.getpid)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Notifier:
        """As systemd said. Its variables are for this process alone, not for its children."""
        microseconds = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        interval = None
        if microseconds.isdigit() and int(microseconds) and mine:
            interval = int(microseconds) / 1e6 * _PART
        return cls(environment.get("NOTIFY_SOCKET", ""), interval)

    def ready(self, status: str) -> None:
        self._say("READY=1", f"STATUS={status}", f"MAINPID={self._pid}")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._say(f"STATUS={text}")

    def reloading(self) -> None:
        """`ready` says when it is done."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        self._say("STOPPING=1", f"STATUS={status}")

    def alive(self) -> None:
        self._say("WATCHDOG=1")

    def more_time(self, seconds: float) -> None:
        """Ending takes so long; without a word systemd would kill us."""
        self._say(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def _say(self, *lines: str) -> None:
        if not self.address:
            return
        place = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with (
            contextlib.suppress(OSError),  # nobody listens any more; that is no reason to fail
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        ):
            channel.sendto("\n".join(lines).encode(), place)


#: Variables that children must not see.
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
