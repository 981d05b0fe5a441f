"""The runs of this process: who runs, so that nothing runs twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from hypersdk.jobs.claims import RunName
from hypersdk.jobs.outbox import Outbox
from hypersdk.jobs.run import Stopper


@dataclass(slots=True, eq=False)
class Place:
    """Of one run, from the moment it is this worker's until its end is stored."""

    name: RunName
    #: Takes no slot.
    waits: bool
    stopper: Stopper = field(default_factory=Stopper)
    #: None until its work begins.
    outbox: Outbox | None = None
    #: Its thread has taken it up.
    begun: bool = False


def _nobody() -> None:
    return


class Roster:
    """Safe in threads."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._changed = threading.Condition()
        #: Called after each end.
        self.when_ended: Callable[[], None] = _nobody

    def __len__(self) -> int:
        return len(self._places)

    def add(self, name: RunName, *, waits: bool) -> Place:
        with self._changed:
            place = self._places[name.job] = Place(name, waits)
            return place

    def take(self, name: RunName) -> Place | None:
        """For the thread of a run: its place, once; None when it must not run here."""
        with self._changed:
            place = self._places.get(name.job)
            if place is None or place.name != name or place.begun:
                return None
            place.begun = True
            return place

    def remove(self, place: Place) -> None:
        with self._changed:
            if self._places.get(place.name.job) is place:
                del self._places[place.name.job]
            self._changed.notify_all()
        self.when_ended()

    def has(self, job: str) -> bool:
        return job in self._places

    def names(self) -> list[RunName]:
        return [place.name for place in self.places()]

    def places(self) -> list[Place]:
        with self._changed:
            return list(self._places.values())

    def counts(self) -> tuple[int, int]:
        """How many work, and how many only wait."""
        waiting = sum(place.waits for place in self.places())
        return len(self._places) - waiting, waiting

    def wait(self, seconds: float) -> bool:
        """Until nothing runs; False: something still does."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._places, seconds)
