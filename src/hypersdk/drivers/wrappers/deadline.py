"""No call without an end: a call that is not answered is given up, a caller who cancels is let go.

The call is made in a thread of its own while the caller waits. When the caller has waited long
enough, or cancels, the call's own token is cancelled, so that a driver which still can ends it and
takes back what it began; the caller does not wait for a driver that cannot. Threads of calls that
were given up and do not return are counted, and beyond a number of them further calls are refused
at once: a dead hypervisor must not cost a thread for every question.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from hypersdk.datapath.cancel import WAIT_SLICE, CancelToken, token_in_force
from hypersdk.drivers.calls import Call, Effect
from hypersdk.model.errors import HypervisorUnreachable, Interrupted, NoAnswer

_log = logging.getLogger(__name__)

#: Seconds between two looks at the caller's token: one look and one more wait fit into WAIT_SLICE.
_LOOK = WAIT_SLICE / 2
#: Seconds that the port's methods with a ``timeout`` of their own wait when none is given.
_PORT_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds after which a call is given up."""

    #: What changes nothing; the ports promise 30 seconds.
    read: float = 30.0
    #: All that is not named here.
    change: float = 120.0
    #: Also of what begins a backup or a restore.
    create: float = 600.0
    delete: float = 600.0
    snapshot: float = 600.0
    clone: float = 3600.0
    #: Whole disks, images or filesystems go over the wire.
    transfer: float = 86400.0
    #: Added to the ``timeout`` of calls that have one: ``stop``, commands in a container.
    margin: float = 15.0
    #: How long a changing call whose caller cancels may take to undo what it began.
    undo: float = 1.5
    #: Calls to one hypervisor that may be given up and still not have returned.
    hanging: int = 16

    def of(self, call: Call) -> float:
        """The deadline of a call."""
        match call.operation:
            case "lifecycle.stop" | "execution.run":
                return float(call.options.get("timeout", _PORT_TIMEOUT)) + self.margin
            case "lifecycle.create" | "disks.view" | "disks.rewrite" | "provisioning.build":
                return self.create
            case "lifecycle.delete" | "provisioning.discard" | "leftovers.reap":
                return self.delete
            case "clones.clone":
                return self.clone
            case "live_migration.migrate" | "archives.export" | "images.load":
                return self.transfer
        if call.effect is Effect.READ:
            return self.read
        return self.snapshot if call.part in {"snapshots", "checkpoints"} else self.change


class Bounded:
    """The interceptor; one for each hypervisor, whose hanging calls it counts."""

    def __init__(
        self, deadlines: Deadlines | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._deadlines = deadlines or Deadlines()
        self._clock = clock
        self._lock = threading.Lock()
        self._hanging = 0

    @property
    def hanging(self) -> int:
        """Calls that were given up and have not returned."""
        return self._hanging

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        token_in_force().check()
        if self._hanging >= self._deadlines.hanging:
            raise HypervisorUnreachable(
                f"{self._hanging} calls to {call.hypervisor} were given up and have not returned, "
                f"so {call.operation} was not tried",
                hint="See whether the hypervisor, or what leads to it, hangs.",
            )
        errand = _Errand(go)
        context = copy_context()
        threading.Thread(
            target=context.run, args=(errand.run,), name=call.operation, daemon=True
        ).start()
        try:
            self._wait(call, errand)
        except BaseException:  # also KeyboardInterrupt: nobody waits for the call any more
            errand.token.cancel()
            self._abandon(errand)
            raise
        return errand.result()

    def _wait(self, call: Call, errand: _Errand) -> None:
        """Returns when the call has. Raises NoAnswer, Interrupted."""
        caller = token_in_force()
        ends = self._clock() + self._deadlines.of(call)
        while not caller.cancelled:
            left = ends - self._clock()
            if errand.over(max(min(left, _LOOK), 0)):
                return
            if left <= 0:
                raise self._given_up(call)
        errand.token.cancel()
        if not errand.over(_LOOK if call.effect is Effect.READ else self._deadlines.undo):
            raise Interrupted(f"cancelled while waiting for {_about(call)}", hint=_aftermath(call))

    def _given_up(self, call: Call) -> NoAnswer:
        return NoAnswer(
            f"{_about(call)} was not answered within {self._deadlines.of(call):g} s",
            hint=_aftermath(call),
        )

    def _abandon(self, errand: _Errand) -> None:
        with self._lock:
            self._hanging += 1
        errand.abandon(self._returned)

    def _returned(self) -> None:
        with self._lock:
            self._hanging -= 1


class _Errand:
    """A call that is made in another thread."""

    def __init__(self, go: Callable[[], Any]) -> None:
        self.token = CancelToken()
        self._go = go
        self._answer: Any = None
        self._failure: BaseException | None = None
        #: A lock that is held until the call is over: the cheapest thing to wait for.
        self._running = threading.Lock()
        self._running.acquire()
        self._deciding = threading.Lock()
        self._late: Callable[[], None] | None = None
        self._over = False

    def run(self) -> None:
        """In the other thread."""
        with self.token.scope():
            try:
                self._answer = self._go()
            except BaseException as error:  # noqa: BLE001 - raised where the caller waits
                self._failure = error
        with self._deciding:
            self._over = True
            self._running.release()
            late = self._late
        if late is not None:
            _close(self._answer)
            late()

    def over(self, timeout: float) -> bool:
        """Whether the call ends within ``timeout`` seconds. Once True, not to be asked again."""
        return self._running.acquire(timeout=timeout)

    def result(self) -> Any:
        """What the call gave, or raises what it raised."""
        if self._failure is None:
            return self._answer
        try:
            raise self._failure
        finally:
            self._failure = None  # its traceback leads here: a cycle that would keep both

    def abandon(self, late: Callable[[], None]) -> None:
        """Close what the call gives, if anything, and call ``late``, as soon as it returns."""
        with self._deciding:
            over = self._over
            if not over:
                self._late = late
        if over:
            _close(self._answer)
            late()


def _close(answer: Any) -> None:
    """Nobody is there any more to close what a call handed out (a stream, a view of disks).

    A context manager that is a generator has not begun anything yet.
    """
    if answer is None or isinstance(answer, contextlib.ContextDecorator):
        return
    try:
        if callable(close := getattr(answer, "close", None)):
            close()
        elif isinstance(answer, contextlib.AbstractContextManager):
            answer.__exit__(None, None, None)
    except Exception as error:  # noqa: BLE001 - nobody waits for it
        _log.warning("a late answer could not be closed: %s", error)


def _about(call: Call) -> str:
    of = f" of '{call.instance}'" if call.instance else ""
    return f"{call.operation}{of} on {call.hypervisor}"


def _aftermath(call: Call) -> str:
    if call.effect is Effect.READ:
        return "It changes nothing."
    return "It may still take effect: look at what is there before you repeat it."
