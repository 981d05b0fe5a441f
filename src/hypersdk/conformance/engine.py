"""Runs cases one by one, and makes of each a record of what really happened.

A case runs in a thread of its own over a connection of its own. When it has ended, what it made is
removed over a fresh connection, and the backend is compared with what it was before. A case that
does not end in time has failed: its stack is kept, its token is cancelled, and its thread is left
to itself if it does not obey; the cleanup does not wait for it.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from hypersdk.conformance.case import Case
from hypersdk.conformance.expect import Skipped, Unmet
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.parts import Parts, lacking
from hypersdk.conformance.requirements import NEEDS
from hypersdk.conformance.results import CaseResult, Verdict
from hypersdk.conformance.target import Target
from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.ports import Hypervisor

T = TypeVar("T")

#: Seconds that work gets to obey after its time has run out, before it is left to itself.
_GRACE = 2.0
#: Seconds between two looks at a backend that may still be tidying up.
_LOOK = 0.1


def run_cases(
    target: Target, chosen: Sequence[Case], *, timeout: float = 60.0
) -> Iterator[CaseResult]:
    """The results, each as its case ends. ``timeout``: seconds for a case, and for its cleanup."""
    for case in chosen:
        yield run_case(target, case, timeout=timeout)


def run_case(target: Target, case: Case, *, timeout: float = 60.0) -> CaseResult:
    """One case, with its cleanup and the comparison of the backend."""
    began, clock = datetime.now(UTC), time.monotonic()
    labs: list[Lab] = []
    before = _bounded(lambda: _resources(target), timeout, "look into the backend")
    ended: list[_Ending[Any]] = [before]
    leaks: Sequence[str] = ()
    if before.error is None:
        known = before.value or frozenset()
        try:
            ended.append(_bounded(lambda: _attempt(target, case, labs), timeout, "end"))
        finally:  # also when the whole run is ended just now
            ended.append(_bounded(lambda: _clean_up(target, labs), timeout, "clean up"))
        after = _bounded(lambda: _leaks(target, known, labs), timeout, "look into the backend")
        leaks = after.value or ()
        ended.append(after)
    verdict, reason, trace = _judged(ended, leaks)
    return CaseResult(
        case=case.id,
        requirement=case.requirement,
        title=case.title,
        verdict=verdict,
        reason=reason,
        trace=trace,
        leaks=tuple(leaks),
        began=began,
        seconds=time.monotonic() - clock,
    )


def missing(case: Case, hypervisor: Hypervisor, target: Target) -> str:
    """Why the case cannot be tried on this hypervisor; empty when it can."""
    lab = Lab(target, hypervisor)
    for need in (case.requirement, *case.needs):
        part, _, aspect = need.partition(".")
        if need in NEEDS:
            if getattr(target, need) is None:
                return f"the target has no {need}"
        elif part != "core":
            if not lab.offers(part):
                return lacking(part)
            if aspect and (note := lab.limit(part, aspect)):
                return f"{need}: {note}"
    return ""


@dataclass(slots=True)
class _Ending(Generic[T]):
    """How a piece of work ended."""

    value: T | None = None
    error: BaseException | None = None
    trace: str = ""


def _bounded(work: Callable[[], T], seconds: float, what: str) -> _Ending[T]:
    """Do it in a thread, which is given up after ``seconds``."""
    token, done, ending = CancelToken(), threading.Event(), _Ending[T]()

    def run() -> None:
        try:
            with token.scope():
                ending.value = work()
        except BaseException as error:  # noqa: BLE001 - whatever ends a case is its result
            ending.error, ending.trace = error, traceback.format_exc()
        finally:
            done.set()

    thread = threading.Thread(target=run, name=f"conformance: {what}", daemon=True)
    thread.start()
    try:
        if done.wait(seconds):
            return ending
    except KeyboardInterrupt:  # the whole run is ended: this work as well
        token.cancel()
        done.wait(_GRACE)
        raise
    trace = _stack(thread)
    token.cancel()
    done.wait(_GRACE)
    return _Ending(error=TimeoutError(f"did not {what} within {seconds:g} s"), trace=trace)


def _stack(thread: threading.Thread) -> str:
    """Where the thread is just now."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - the documented way
    return "".join(traceback.format_stack(frame)) if frame else ""


def _attempt(target: Target, case: Case, labs: list[Lab]) -> None:
    lab = Lab(target, target.connect())
    labs.append(lab)
    reason = missing(case, lab.hypervisor, target)
    if reason:
        raise Skipped(reason)
    case.run(lab)


def _clean_up(target: Target, labs: Sequence[Lab]) -> None:
    """Over a fresh connection: that of the case may be what is broken."""
    problems: list[str] = []
    for lab in labs:
        if lab.has_to_clean_up:
            hypervisor = target.connect()
            try:
                problems += lab.clean_up(Parts(hypervisor))
            finally:
                hypervisor.close()
        lab.hypervisor.close()
    if problems:
        raise Unmet("; ".join(problems))


def _resources(target: Target) -> frozenset[str]:
    return target.observer.resources() if target.observer is not None else frozenset()


def _leaks(target: Target, before: frozenset[str], labs: Sequence[Lab]) -> Sequence[str]:
    """What is there now and was not before, once the backend had the time to tidy up."""
    allowed = before.union(*(lab.kept for lab in labs))
    deadline = time.monotonic() + target.expectations.settle
    while (left := _resources(target) - allowed) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return sorted(left)


def _judged(ended: Sequence[_Ending[Any]], leaks: Sequence[str]) -> tuple[Verdict, str, str]:
    """Verdict, reason, trace. Skipped only when nothing else was wrong."""
    wrong = [end for end in ended if end.error is not None and not isinstance(end.error, Skipped)]
    reasons = [_reason(end.error) for end in wrong if end.error is not None]
    if leaks:
        reasons.append(f"it left in the backend: {', '.join(leaks)}")
    if reasons:
        return Verdict.FAILED, "; ".join(reasons), "\n".join(end.trace for end in wrong)
    for end in ended:
        if isinstance(end.error, Skipped):
            return Verdict.SKIPPED, str(end.error), ""
    return Verdict.PASSED, "", ""


def _reason(error: BaseException) -> str:
    if isinstance(error, Unmet | TimeoutError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"
