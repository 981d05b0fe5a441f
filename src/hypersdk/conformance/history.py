"""What runs found, one line of JSON each, and how that changed.

Runs append to the file, several at once if need be. A line that was cut off by a power cut is
ignored; anything else that is not ours is an error, not a gap in the trend.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hypersdk.conformance.figures import figures
from hypersdk.conformance.reports.document import plain, record
from hypersdk.conformance.results import Run, Verdict
from hypersdk.conformance.summary import counts, names
from hypersdk.model.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One hypervisor in one run."""

    #: Its driver, or its URL where the run had several of one driver.
    name: str
    passed: int
    failed: int
    skipped: int
    #: Cases that failed.
    failing: tuple[str, ...]
    #: Operation → median in seconds.
    medians: Mapping[str, float]
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run."""

    id: str
    began: datetime
    seconds: float
    #: Of HyperSDK.
    version: str
    hypervisors: tuple[Past, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One hypervisor in one run, beside the run before that had it."""

    run: str
    began: datetime
    now: Past
    #: Cases that fail now and did not before; all of them in the first run.
    broken: tuple[str, ...]
    mended: tuple[str, ...]
    #: Operation → median now, by the median before: 1.5 takes half as long again.
    ratios: Mapping[str, float]


def entry(run: Run) -> Entry:
    """What the history keeps of a run."""
    return Entry(
        id=run.id,
        began=run.began,
        seconds=round(run.seconds, 3),
        version=run.environment.get("hypersdk", "unknown"),
        hypervisors=tuple(
            Past(
                name=name,
                passed=counts(each).passed,
                failed=counts(each).failed,
                skipped=counts(each).skipped,
                failing=tuple(c.case for c in each.cases if c.verdict is Verdict.FAILED),
                medians={f.operation: round(f.median, 6) for f in figures(each.samples)},
                problem=each.problem,
            )
            for name, each in zip(names(run), run.hypervisors, strict=True)
        ),
    )


def append(path: Path, new: Entry) -> None:
    """Add a line to the file, which is made when it is missing."""
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")  # the line before was cut off
        file.write(json.dumps(plain(new)).encode() + b"\n")


def read(path: Path) -> tuple[Entry, ...]:
    """In the order in which they were added. Raises InvalidInput."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InvalidInput(
            f"cannot read {path}: {error.strerror}",
            hint="'hypersdk conform run --report DIR' begins a history in DIR.",
        ) from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            found.append(record(Entry, json.loads(line)))
        except json.JSONDecodeError as error:
            if line.startswith(b'{"id": "') and not line.endswith(b"}"):
                continue  # cut off
            raise InvalidInput(f"{path}, line {number}: {error}") from error
        except InvalidInput as error:
            raise InvalidInput(f"{path}, line {number}: {error.message}") from error
    return tuple(found)


def trend(entries: Sequence[Entry]) -> Mapping[str, tuple[Step, ...]]:
    """Hypervisor → its runs, oldest first."""
    steps: dict[str, list[Step]] = {}
    for each in entries:
        for now in each.hypervisors:
            earlier = steps.setdefault(now.name, [])
            earlier.append(_step(each, now, earlier[-1].now if earlier else None))
    return {name: tuple(found) for name, found in steps.items()}


def _step(run: Entry, now: Past, before: Past | None) -> Step:
    failed_before = before.failing if before else ()
    medians = before.medians if before else {}
    return Step(
        run=run.id,
        began=run.began,
        now=now,
        broken=tuple(case for case in now.failing if case not in failed_before),
        # A case is mended when it ran again, which a run with a problem does not show.
        mended=()
        if now.problem
        else tuple(case for case in failed_before if case not in now.failing),
        ratios={
            operation: median / medians[operation]
            for operation, median in now.medians.items()
            if medians.get(operation)
        },
    )
