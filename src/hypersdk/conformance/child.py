"""``python -m hypersdk.conformance.child``: tests one hypervisor in a process of its own.

A driver loads native libraries and may hang or crash; what it does ends with this process, and the
runner keeps what was told until then. The request comes on standard input, events go out on what
was standard output; whatever drivers and libraries print goes to standard error.

SIGTERM means: clean up and end. It arrives as KeyboardInterrupt, which no case catches.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from types import FrameType
from typing import NoReturn, Protocol

from hypersdk.conformance.benchmark import measure
from hypersdk.conformance.case import Case, cases
from hypersdk.conformance.crowd import crowd
from hypersdk.conformance.engine import run_cases
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
    line,
)
from hypersdk.conformance.registry import load_target
from hypersdk.conformance.reports.document import record
from hypersdk.conformance.results import CaseResult, Sample
from hypersdk.conformance.selection import matching
from hypersdk.conformance.target import Site, Target
from hypersdk.drivers.ports import capabilities
from hypersdk.model.errors import HyperSDKError

Emit = Callable[[Event], None]


class Engine(Protocol):
    """What runs cases; `engine.run_cases` outside of tests."""

    def __call__(
        self, target: Target, chosen: Sequence[Case], *, timeout: float
    ) -> Iterator[CaseResult]: ...


def main(
    *,
    find: Callable[[str, Site], Target] = load_target,
    catalogue: Callable[[Collection[str]], Sequence[Case]] = cases,
    engine: Engine = run_cases,
) -> NoReturn:
    """Serve one request and end the process; the parameters are for tests of the runner."""
    signal.signal(signal.SIGTERM, _interrupt)
    events = _own_output()
    request = record(Request, json.load(sys.stdin))

    def emit(event: Event) -> None:
        # Whole lines, unbuffered: what was told must survive whatever comes next.
        os.write(events, line(event))

    status = 1
    try:
        serve(request, emit, find=find, catalogue=catalogue, engine=engine)
        emit(Done())
        status = 0
    except BaseException:  # noqa: BLE001 - the end of this process
        traceback.print_exc()  # the runner shows the end of standard error
    finally:
        sys.stderr.flush()
        # Not by returning: a thread that hangs in a driver would keep the process.
        os._exit(status)


def serve(
    request: Request,
    emit: Emit,
    *,
    find: Callable[[str, Site], Target] = load_target,
    catalogue: Callable[[Collection[str]], Sequence[Case]] = cases,
    engine: Engine = run_cases,
) -> None:
    """Do what ``request`` asks, and tell each step."""
    chosen = matching(catalogue(request.suites), request.cases) if request.test else ()
    try:
        target = find(request.url, request.site)
    except HyperSDKError as error:
        emit(Trouble(f"cannot be tested: {_sentence(error)}"))
        return
    try:
        if not _connect(target, emit):
            return
        if request.test:
            emit(Planned(tuple(PlannedCase(c.id, c.requirement, c.title) for c in chosen)))
            for result in engine(target, chosen, timeout=request.case_timeout):
                emit(CaseEnded(result))
        for sample in _samples(request, target, emit):
            emit(Sampled(sample))
    finally:
        target.close()


def _connect(target: Target, emit: Emit) -> bool:
    try:
        hypervisor = target.connect()
        try:
            host = hypervisor.host.info() if hypervisor.host is not None else None
            emit(Connected(host, capabilities(hypervisor)))
        finally:
            hypervisor.close()
    except HyperSDKError as error:
        emit(Trouble(f"cannot be reached: {_sentence(error)}"))
        return False
    return True


def _samples(request: Request, target: Target, emit: Emit) -> Iterator[Sample]:
    try:
        if request.samples:
            yield from measure(target, samples=request.samples, warm_up=request.warm_up)
        if request.crowd:
            figures = crowd(target, instances=request.crowd)
            yield from figures.samples
            if figures.lost:
                emit(Trouble(f"lost among {request.crowd} instances: {'; '.join(figures.lost)}"))
    except HyperSDKError as error:
        emit(Trouble(f"the benchmark ended early: {_sentence(error)}"))


def _sentence(error: HyperSDKError) -> str:
    return f"{error.message}. {error.hint}".strip() if error.hint else error.message


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signal's form
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # cleaning up is not interrupted again
    raise KeyboardInterrupt


def _own_output() -> int:
    """A descriptor of the events that nobody else writes to and no process started here gets."""
    events = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


if __name__ == "__main__":
    main()
