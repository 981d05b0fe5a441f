"""Runs the kit: each hypervisor in a process of its own, killed when its time is over.

What arrived until then is kept. The case that was running is a failure, with the reason; cases that
were not reached are no results at all, and the hypervisor's ``problem`` says how many they are.
Nothing here makes up a result.
"""

from __future__ import annotations

import contextvars
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ulid import ULID

from hypersdk.conformance.environment import environment
from hypersdk.conformance.events import (
    CaseEnded,
    Connected,
    Done,
    Event,
    Planned,
    PlannedCase,
    Request,
    Sampled,
    Trouble,
)
from hypersdk.conformance.process import PROGRAM, Ending, Process
from hypersdk.conformance.registry import scheme
from hypersdk.conformance.reports.document import plain
from hypersdk.conformance.reports.words import count, span
from hypersdk.conformance.results import CaseResult, HypervisorResult, Run, Verdict
from hypersdk.conformance.target import Site
from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.registry import refuse_secrets

#: Called with a hypervisor's URL and what is new about it, one call at a time.
Watch = Callable[[str, Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is to do. Seconds."""

    hypervisors: tuple[str, ...]
    site: Site = field(default_factory=Site)
    suites: tuple[str, ...] = ()
    #: Patterns of case ids; none: all.
    cases: tuple[str, ...] = ()
    #: False: only the benchmark.
    test: bool = True
    #: All that happens with one hypervisor.
    timeout: float = 900.0
    #: One case.
    case_timeout: float = 60.0
    #: Of each operation of the benchmark; 0: no benchmark.
    samples: int = 0
    warm_up: int = 1
    crowd: int = 0
    #: Hypervisors at a time.
    parallel: int = 1


def run(
    plan: Plan,
    *,
    watch: Watch = lambda url, event: None,  # noqa: ARG005
    program: Sequence[str] = PROGRAM,
    variables: Mapping[str, str] | None = None,
) -> Run:
    """Test all hypervisors of ``plan``. Raises Interrupted when the token in force is cancelled;
    children have cleaned up by then, or were killed.

    ``program`` is what each child runs, with ``variables`` as its environment.
    """
    for url in plan.hypervisors:
        scheme(url)  # before anything is begun
        refuse_secrets(url)  # reports name URLs
    began, clock = _now(), time.monotonic()
    lock = threading.Lock()

    def tell(url: str, event: Event) -> None:
        with lock:
            watch(url, event)

    def one(url: str) -> HypervisorResult:
        return _Hypervisor(url, tell).run(plan, program, variables)

    with ThreadPoolExecutor(max_workers=plan.parallel) as pool:
        # Threads inherit the token that the caller's thread has to obey.
        jobs = [pool.submit(contextvars.copy_context().run, one, url) for url in plan.hypervisors]
        found = tuple(job.result() for job in jobs)
    return Run(
        id=str(ULID()),
        began=began,
        seconds=time.monotonic() - clock,
        environment=environment(),
        hypervisors=found,
    )


class _Hypervisor:
    """What arrives about one hypervisor."""

    def __init__(self, url: str, tell: Watch) -> None:
        self._url = url
        self._tell = tell
        self._began, self._clock = _now(), time.monotonic()
        self._connected: Connected | None = None
        self._planned: tuple[PlannedCase, ...] = ()
        self._results: list[CaseResult] = []
        self._samples: list[Sampled] = []
        self._problems: list[str] = []
        self._done = False
        self._last = self._clock

    def run(
        self, plan: Plan, program: Sequence[str], variables: Mapping[str, str] | None
    ) -> HypervisorResult:
        token_in_force().check()
        request = Request(
            url=self._url,
            site=plan.site,
            suites=plan.suites,
            cases=plan.cases,
            case_timeout=plan.case_timeout,
            test=plan.test,
            samples=plan.samples,
            warm_up=plan.warm_up,
            crowd=plan.crowd,
        )
        with Process(program, variables) as process:
            process.ask(json.dumps(plain(request)).encode())
            ending = process.listen(self._on, timeout=plan.timeout)
        if not self._done:
            self._ended_early(ending, plan.timeout)
        return self._result()

    def _on(self, event: Event) -> None:
        match event:
            case Connected():
                self._connected = event
            case Planned(cases):
                self._planned = cases
            case CaseEnded(result):
                self._results.append(result)
            case Sampled():
                self._samples.append(event)
            case Trouble(problem):
                self._problems.append(problem)
            case Done():
                self._done = True
        self._last = time.monotonic()
        self._tell(self._url, event)

    def _ended_early(self, ending: Ending, timeout: float) -> None:
        """The running case is the first that was planned and has no result."""
        why = (
            f"its process was stopped: the time limit of a hypervisor, {span(timeout)}, was over"
            if ending.timed_out
            else ending.death
        )
        ended = {result.case for result in self._results}
        missing = [case for case in self._planned if case.case not in ended]
        if missing:
            self._fail(missing[0], why, ending.stderr)
        elif ending.stderr and not ending.timed_out:
            why = f"{why}. It wrote: {ending.stderr.strip().splitlines()[-1]}"
        self._problems.append(why)
        if missing[1:]:
            names = ", ".join(case.case for case in missing[1:])
            self._problems.append(f"{count(len(missing) - 1, 'case')} did not run: {names}")

    def _fail(self, case: PlannedCase, why: str, stderr: str) -> None:
        seconds = time.monotonic() - self._last
        result = CaseResult(
            case=case.case,
            requirement=case.requirement,
            title=case.title,
            verdict=Verdict.FAILED,
            reason=f"while it ran, {why}",
            trace=stderr,
            began=datetime.fromtimestamp(time.time() - seconds, UTC),
            seconds=seconds,
        )
        self._results.append(result)
        self._tell(self._url, CaseEnded(result))

    def _result(self) -> HypervisorResult:
        return HypervisorResult(
            url=self._url,
            driver=scheme(self._url),
            host=self._connected.host if self._connected else None,
            capabilities=self._connected.capabilities if self._connected else (),
            cases=tuple(self._results),
            samples=tuple(each.sample for each in self._samples),
            problem="; ".join(self._problems),
            began=self._began,
            seconds=time.monotonic() - self._clock,
        )


def _now() -> datetime:
    return datetime.now(UTC)
