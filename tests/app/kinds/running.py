"""`Run` in memory, or in a file that outlives its process; and workers that are killed."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from hypersdk.datapath.cancel import CancelToken
from hypersdk.jobs.kinds import Kinds, Run
from hypersdk.model.errors import HyperSDKError, Interrupted
from hypersdk.model.jobs import Job, JobError, JobState, NewJob
from hypersdk.model.progress import Progress, Reporter

T = TypeVar("T")

JOB = "01JD8Q6Z4E1W0000000000000A"


class Killed(BaseException):
    """The worker is gone, as far as a test within one process can have it so."""


def job_of(kind: str, request: Mapping[str, Any], *, id: str = JOB, **values: Any) -> Job:
    """As if it had just begun its first run."""
    now = datetime.now(UTC)
    filled: dict[str, Any] = {"run": 1, "state": JobState.RUNNING, "started": now, **values}
    return Job(
        id=id, kind=kind, name=kind, request=dict(request), created=now, updated=now, **filled
    )


@dataclass
class Steps:
    """What finished steps gave; in a file when it has a path."""

    path: Path | None = None
    done: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is not None and self.path.exists():
            self.done = json.loads(self.path.read_text())

    def keep(self, key: str, result: object) -> Any:
        """As JSON keeps it."""
        self.done[key] = json.loads(json.dumps(result))
        if self.path is not None:
            self.path.write_text(json.dumps(self.done))
        return self.done[key]


class FakeRun:
    """Remembers its steps in ``steps``, which outlives it. ``at`` is called at moments:
    ``before NAME``, ``lost NAME`` (a step is done and its result not yet kept), ``after NAME``."""

    def __init__(
        self,
        job: Job,
        steps: Steps | None = None,
        *,
        kinds: Kinds | None = None,
        at: Callable[[str], None] = lambda moment: None,
        reporter: Callable[[Progress], None] = lambda progress: None,
        share: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.job = job
        self.cancel = CancelToken()
        self.reporter: Reporter = self._report
        #: What the job gave, where it was run by `killed.resume` or `killed.again`.
        self.result: Mapping[str, Any] = {}
        self.steps = steps or Steps()
        self.phases: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.seen: list[Progress] = []
        self.made: list[NewJob] = []
        self.ran: list[str] = []
        self._kinds = kinds
        self._at = at
        self._watch = reporter
        self._share = share
        self._lock = threading.Lock()
        self._calls = 0

    def disturb(
        self,
        *,
        at: Callable[[str], None] | None = None,
        reporter: Callable[[Progress], None] | None = None,
        share: Callable[[], int | None] | None = None,
    ) -> None:
        """As the arguments of the same names."""
        self._at = at or self._at
        self._watch = reporter or self._watch
        self._share = share or self._share

    def _report(self, progress: Progress) -> None:
        with self._lock:
            self.seen.append(progress)
        self._watch(progress)

    def phase(self, name: str, subject: str = "") -> None:
        self.phases.append((name, subject))

    def log(self, message: str, *, level: str = "info", **details: object) -> None:
        self.lines.append(f"{level}: {message}" + (f" {details}" if details else ""))

    def step(self, name: str, work: Callable[[], T]) -> T:
        self.cancel.check()
        self._calls += 1
        key = f"{self._calls} {name}"
        if key in self.steps.done:
            return self.steps.done[key]  # type: ignore[no-any-return]
        # Steps are found again by their order: others than before would be another program.
        assert not any(each.startswith(f"{self._calls} ") for each in self.steps.done), name
        self._at(f"before {name}")
        result = work()
        self.ran.append(name)
        self._at(f"lost {name}")
        kept: T = self.steps.keep(key, result)
        self._at(f"after {name}")
        return kept

    def bandwidth(self) -> int | None:
        return self._share()

    def children(self, new: Sequence[NewJob], *, stop_on_error: bool = False) -> tuple[Job, ...]:
        assert self._kinds is not None
        self.made = list(new)
        ended: list[Job] = []
        for each in new:
            self.cancel.check()
            job = job_of(each.kind, each.request, id=each.id, tenant=each.tenant)
            if stop_on_error and any(one.state is JobState.FAILED for one in ended):
                ended.append(replace(job, state=JobState.CANCELLED))
                continue
            try:
                result = self._kinds[each.kind].work(each.request, FakeRun(job))
                ended.append(replace(job, state=JobState.COMPLETED, result=result))
            except HyperSDKError as error:
                ended.append(replace(job, state=JobState.FAILED, error=JobError.of(error)))
        return tuple(ended)


def killing(moment: str) -> Callable[[str], None]:
    """Ends the worker at that moment, cleaning up what a raised error cleans up."""

    def at(now: str) -> None:
        if now == moment:
            raise Killed(moment)

    return at


def really_killing(moment: str) -> Callable[[str], None]:
    """Ends this process with SIGKILL at that moment."""

    def at(now: str) -> None:
        if now == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    return at


def killing_after(count: int) -> Callable[[Progress], None]:
    """A reporter that ends this process once so many bytes are accounted for."""

    def report(progress: Progress) -> None:
        if progress.done >= count:
            os.kill(os.getpid(), signal.SIGKILL)

    return report


def cancelling(run_of: Callable[[], Run], count: int) -> Callable[[Progress], None]:
    """A reporter that cancels the run once so many bytes were read."""

    def report(progress: Progress) -> None:
        if progress.read >= count:
            run_of().cancel.cancel()

    return report


__all__ = [
    "JOB",
    "FakeRun",
    "Interrupted",
    "Killed",
    "Steps",
    "cancelling",
    "job_of",
    "killing",
    "killing_after",
    "really_killing",
]
