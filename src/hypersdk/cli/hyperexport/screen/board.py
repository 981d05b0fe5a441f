"""What is known of running exports: added up from what worker threads report."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypersdk import Progress
from hypersdk.cli.hyperexport.screen.port import Outcome, Planned, Row

#: Seconds over which the pace of all together is averaged.
_WINDOW = 10.0

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Look:
    """Everything at one moment. Bytes, bytes per second, seconds."""

    done: int
    total: int
    rate: float
    #: Seconds left; None while unknown.
    eta: float | None
    seconds: float
    #: Tasks that run, by instance in the order of the plan.
    running: tuple[tuple[Row, Progress], ...]
    outcomes: tuple[Outcome, ...]
    #: Instances that nothing was heard of yet.
    waiting: int

    @property
    def failed(self) -> int:
        return sum(outcome.error is not None for outcome in self.outcomes)


class Board:
    """Reports may come from any thread; looks are taken by the one that draws."""

    def __init__(
        self, plans: Sequence[Planned], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._planned = {planned.row.key: planned for planned in plans}
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: dict[_Key, dict[str, Progress]] = {key: {} for key in self._planned}
        self._outcomes: dict[_Key, Outcome] = {}
        self._began = clock()
        #: (seconds, done) at past looks, oldest first.
        self._past: deque[tuple[float, int]] = deque([(self._began, 0)])

    def report(self, row: Row, progress: Progress) -> None:
        with self._lock:
            self._tasks.setdefault(row.key, {})[progress.task] = progress

    def settle(self, outcome: Outcome) -> None:
        with self._lock:
            self._outcomes[outcome.row.key] = outcome

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """In the order of the plan."""
        with self._lock:
            return self._in_order()

    def look(self) -> Look:
        """What is known now."""
        with self._lock:
            now = self._clock()
            amounts = [self._amounts(key) for key in self._planned]
            done, total = sum(each[0] for each in amounts), sum(each[1] for each in amounts)
            running = tuple(
                (self._planned[key].row, progress)
                for key in self._planned
                if key not in self._outcomes
                for progress in self._tasks[key].values()
                if not progress.finished
            )
            waiting = sum(
                key not in self._outcomes and not self._tasks[key] for key in self._planned
            )
            return Look(
                done=done,
                total=total,
                rate=sum(progress.rate for _, progress in running),
                eta=self._eta(now, done, total),
                seconds=now - self._began,
                running=running,
                outcomes=self._in_order(),
                waiting=waiting,
            )

    def _in_order(self) -> tuple[Outcome, ...]:
        return tuple(self._outcomes[key] for key in self._planned if key in self._outcomes)

    def _amounts(self, key: _Key) -> tuple[int, int]:
        """Bytes done and in all of one instance. What was settled is out of the way."""
        tasks = self._tasks[key].values()
        total = max(self._planned[key].size, sum(task.total for task in tasks))
        if key in self._outcomes:
            return total, total
        return min(sum(task.done for task in tasks), total), total

    def _eta(self, now: float, done: int, total: int) -> float | None:
        while len(self._past) > 1 and self._past[0][0] < now - _WINDOW:
            self._past.popleft()
        then, before = self._past[0]
        self._past.append((now, done))
        pace = (done - before) / (now - then) if now > then else 0.0
        return (total - done) / pace if pace > 0 and done < total else None
