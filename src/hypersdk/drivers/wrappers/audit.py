"""Who changed what, when, and how it ended: one event for each call that changes something.

Arguments are not in it (specs carry passwords in variables and first-boot settings, commands carry
them too), only flags and numbers of the call's options.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from hypersdk.drivers.calls import Call, Effect
from hypersdk.model.errors import Interrupted


class AuditOutcome(Enum):
    """How a call ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    #: The caller cancelled it; it may have taken effect.
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One call that changed something, or was to."""

    #: When it began, UTC.
    time: datetime
    #: Account on whose behalf it was made.
    user: str
    hypervisor: str
    #: ``lifecycle.start``
    operation: str
    #: Empty when it is about none or many.
    instance: str
    outcome: AuditOutcome
    seconds: float
    #: Class of the error; empty when it succeeded.
    error: str = ""
    #: Options of the call that are flags or numbers: ``force``, ``disks``, ``timeout``.
    options: Mapping[str, bool | int | float] = field(default_factory=dict)


#: Receives each record as well; must not raise, called from the thread of the call.
AuditSink = Callable[[AuditRecord], None]


class Audited:
    """The interceptor. ``user`` is this process' account unless it is given."""

    def __init__(
        self,
        sink: AuditSink | None = None,
        *,
        user: str = "",
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sink = sink
        self._user = user or _account()
        self._clock = clock
        self._now = now

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        if call.effect is Effect.READ:
            return go()
        time, began = self._now(), self._clock()
        error: BaseException | None = None
        try:
            return go()
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._write(
                AuditRecord(
                    time=time,
                    user=self._user,
                    hypervisor=call.hypervisor,
                    operation=call.operation,
                    instance=call.instance,
                    outcome=_outcome(error),
                    seconds=self._clock() - began,
                    error=type(error).__name__ if error is not None else "",
                    options=_harmless(call.options),
                )
            )
            del error  # its traceback leads to this frame

    def _write(self, record: AuditRecord) -> None:
        fields = asdict(record) | {
            "time": record.time.isoformat(timespec="milliseconds"),
            "outcome": record.outcome.value,
            "seconds": round(record.seconds, 3),
            "options": dict(record.options),
        }
        from hypersdk.observe.log import get_logger  # noqa: PLC0415 - slow to import

        log = get_logger("hypersdk.audit")
        log.info("call", **fields)
        if self._sink is None:
            return
        try:
            self._sink(record)
        except Exception:
            log.exception("an audit record was not taken", operation=record.operation)


def _outcome(error: BaseException | None) -> AuditOutcome:
    if error is None:
        return AuditOutcome.SUCCEEDED
    cancelled = isinstance(error, Interrupted | KeyboardInterrupt)
    return AuditOutcome.CANCELLED if cancelled else AuditOutcome.FAILED


def _harmless(options: Mapping[str, Any]) -> dict[str, bool | int | float]:
    return {name: value for name, value in options.items() if isinstance(value, bool | int | float)}


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in containers
        return str(os.getuid())
