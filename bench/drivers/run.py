"""Ask every question of every site, by us and by the library in turn."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from statistics import median

from bench.contender import OURS, Sample
from bench.drivers.sites import LIST, SITES, STATUS, Question
from bench.machine import host_facts
from bench.measure import BenchError
from bench.race import Teller
from bench.results import Results

#: Stands for the library that a driver uses.
RAW = "its library"
MEASURES = (LIST, STATUS)
#: Calls by each in a round: the median of a round is a sample.
CALLS = 20
#: Seconds for all rounds of a question, at most; there are three rounds at least.
SECONDS = 6.0
_LEAST_ROUNDS = 3


def run_drivers(
    chosen: Sequence[str], rounds: int, seconds: float, command: str, tell: Teller
) -> Results:
    """Raises BenchError without root."""
    if os.geteuid() != 0:
        raise BenchError("private daemons can only be started by root")
    samples: list[Sample] = []
    calls: dict[str, str] = {}
    versions = {name: SITES[name].version() for name in chosen}
    for name in chosen:
        if not versions[name]:
            tell(f"{name} is not installed")
            continue
        tell(f"filling {name} …")
        with SITES[name].questions() as questions:
            for question in questions:
                found = list(_asked(question, rounds, seconds))
                samples += found
                if question.call:
                    calls[f"{RAW} ({question.variant}), {question.measure}"] = question.call
                tell(_told(question, found))
    facts = {f"driver {name}": each for name, each in versions.items() if each}
    return Results(
        runs={command: datetime.now(UTC).isoformat(timespec="seconds")},
        machine={**host_facts(), **facts},
        allocated=0,
        calls=calls,
        absent=tuple(name for name in chosen if not versions[name]),
        samples=tuple(samples),
    )


def _asked(question: Question, rounds: int, seconds: float) -> Iterator[Sample]:
    """Both in turn, who begins in turn as well. The first calls of all are not counted."""
    contenders = [(OURS, question.ours)]
    if question.raw is not None:
        contenders.append((RAW, question.raw))
    for _, ask in contenders:
        ask()
    begun = time.monotonic()
    for number in range(rounds):
        if number >= _LEAST_ROUNDS and time.monotonic() > begun + seconds:
            return
        load = os.getloadavg()[0]
        times: dict[str, list[float]] = {name: [] for name, _ in contenders}
        for call in range(CALLS):
            for name, ask in contenders if call % 2 else contenders[::-1]:
                start = time.perf_counter()
                ask()
                times[name].append(time.perf_counter() - start)
        for name, taken in times.items():
            yield Sample(
                name, question.variant, question.measure, number, median(taken), 0.0, 0, load
            )


def _told(question: Question, samples: Sequence[Sample]) -> str:
    parts = []
    for name in (OURS, RAW):
        taken = [sample.seconds for sample in samples if sample.contender == name]
        if taken:
            parts.append(f"{name} {median(taken) * 1e3:.3f} ms")
    return f"{question.measure:14} {question.variant}: {', '.join(parts)}"
