"""On which hosts and datastores jobs would work, asked of their hypervisors before they begin.

Asking takes as long as a hypervisor takes to answer: it is done in threads, and a job that nothing
is known of yet is passed over until its answer is there. Only jobs on hypervisors that have budgets
for their hosts or datastores are asked about.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hypersdk.database.engine import Database
from hypersdk.database.tables import jobs
from hypersdk.jobs.budgets import Budgets
from hypersdk.jobs.kinds import Kinds, Placed
from hypersdk.observe.log import get_logger

_log = get_logger(__name__)
#: Seconds that an answer is waited for; then the job begins without, and may fail by itself.
PATIENCE = 10.0
#: Seconds for which a job is begun by an answer: instances move.
FRESH = 60.0
#: Seconds for which a job is held back by one.
STALE = 600.0
#: Kinds of resources that only hypervisors know of.
PLACES = ("host:", "datastore:")


@dataclass(slots=True)
class _Known:
    """Of one job."""

    asked: float
    #: None until the answer is there.
    places: tuple[str, ...] | None = None
    asking: bool = True


class Whereabouts:
    """Of one worker, in its memory. Safe in threads."""

    def __init__(
        self,
        database: Database,
        kinds: Kinds,
        budgets: Budgets,
        *,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._placed = {
            name: kind for name, kind in kinds.known.items() if isinstance(kind, Placed)
        }
        self._budgets = budgets
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        #: Called when an answer came.
        self.when_known: Callable[[], None] = _nobody

    def counted(self, kind: str, resources: Iterable[str]) -> bool:
        """Whether there are budgets for places of such a job."""
        if kind not in self._placed:
            return False
        known = (each.partition(":") for each in resources)
        names = [name for what, _, name in known if what == "hypervisor"]
        return any(self._bounded(f"{place}{name}/") for name in names for place in PLACES)

    def last(self, job: str) -> tuple[str, ...]:
        """What was answered of a job in the last ten minutes: good for holding it back."""
        known = self._look(job, STALE)
        return (known.places or ()) if known is not None else ()

    def of(self, job: str, kind: str) -> tuple[str, ...] | None:
        """What is known well enough to begin; None: it is being asked. Empty when asking failed,
        or takes too long."""
        known = self._look(job, FRESH)
        if known is None:
            self._ask(job, kind)
            return None
        if known.places is not None:
            return known.places
        if self._clock() - known.asked < self._patience:
            return None
        _log.warning("a hypervisor does not say where a job would work", job=job)
        known.places = ()
        return known.places

    def _look(self, job: str, age: float) -> _Known | None:
        with self._lock:
            known = self._known.get(job)
        if known is None or (not known.asking and self._clock() - known.asked >= age):
            return None
        return known

    def _ask(self, job: str, kind: str) -> None:
        now = self._clock()
        with self._lock:
            self._known = {
                id: each
                for id, each in self._known.items()
                if each.asking or now - each.asked < STALE
            }
            known = self._known[job] = _Known(now)
        # A thread of its own: a hypervisor that hangs keeps nobody else from being asked, and no
        # process from ending.
        threading.Thread(
            target=self._answer, args=(job, kind, known), name="jobs-places", daemon=True
        ).start()

    def _answer(self, job: str, kind: str, known: _Known) -> None:
        places: tuple[str, ...] = ()
        try:
            request = self._request(job)
            if request is not None:
                places = tuple(self._placed[kind].places(request))
        except Exception as error:  # noqa: BLE001 - the job may begin, and fail by itself
            _log.warning("nobody says where a job would work", job=job, error=str(error))
        with self._lock:
            if known.places is None:
                known.places = places
            known.asked, known.asking = self._clock(), False
        self.when_known()

    def _request(self, job: str) -> Mapping[str, Any] | None:
        query = sa.select(jobs.c.request).where(jobs.c.id == job)
        with self._database.read() as connection:
            found: Mapping[str, Any] | None = connection.execute(query).scalar_one_or_none()
        return found

    def _bounded(self, resource: str) -> bool:
        budget = self._budgets.limit(resource)
        return budget.jobs is not None or budget.bandwidth is not None


def _nobody() -> None:
    return
