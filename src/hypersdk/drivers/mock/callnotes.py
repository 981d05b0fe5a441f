"""A note of every call, in ``hypervisor.calls``: a line of JSON each, in the order of their ends.

Arguments are not noted: they may hold secrets.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hypersdk.drivers.calls import Call
from hypersdk.drivers.mock.clock import Clock
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.guestline import append

FILE = "hypervisor.calls"


@dataclass(frozen=True, slots=True)
class CallNote:
    """One call."""

    operation: str
    #: Empty when it is about none or many.
    instance: str
    #: Seconds since the epoch, and how long it took, by the hypervisor's clock.
    began: float
    seconds: float
    #: Class of the error that it raised; empty when it answered.
    error: str


class CallNotes:
    """An interceptor. Nothing is noted while there is no folder yet."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock

    def __call__(self, call: Call, go: Callable[[], Any]) -> Any:
        began, error = self._clock.now(), ""
        try:
            return go()
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            seconds = self._clock.now() - began
            self._note(CallNote(call.operation, call.instance, began, seconds, error))

    def _note(self, note: CallNote) -> None:
        if self._root.is_dir():
            with native(f"note a call in {self._root}"):
                append(self._root / FILE, json.dumps(asdict(note)).encode() + b"\n")


def noted(root: Path) -> list[CallNote]:
    """All calls that were noted, by whatever process."""
    with native(f"read the calls of {root}"):
        try:
            lines = (root / FILE).read_bytes().splitlines()
        except FileNotFoundError:
            return []
    return [CallNote(**json.loads(line)) for line in lines]
