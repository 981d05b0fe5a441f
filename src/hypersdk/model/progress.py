"""What long work says about itself while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a running task. All amounts are bytes unless the task says otherwise.

    ``done`` of ``total`` is the bar: for a copy, disk bytes accounted for (read, zero or
    unchanged) of the disk size.
    """

    #: What is being worked on, for a person: ``web-1/vda``.
    task: str
    done: int
    total: int
    #: Bytes read from the source.
    read: int = 0
    #: Bytes written to the repository (compressed, encrypted) or to the target.
    stored: int = 0
    #: Bytes known to be zero and therefore not read.
    zero: int = 0
    #: Bytes known to be unchanged and therefore not read.
    unchanged: int = 0
    #: Seconds since the task began.
    seconds: float = 0.0
    #: Bytes per second read lately.
    rate: float = 0.0
    #: Seconds left at this rate; None while unknown.
    eta: float | None = None
    #: True in the last event of the task.
    finished: bool = False


#: Receives progress; called from worker threads, must return quickly and never raise.
Reporter = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """The reporter of a caller who does not want progress."""
