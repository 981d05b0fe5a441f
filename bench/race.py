"""Run the contenders against each other: every measure, every contender, round after round."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from json import JSONDecodeError, loads
from pathlib import Path

from bench.contender import Contender, Sample, Trial
from bench.image import Image, same_content, second_day, warm
from bench.measure import BenchError, Cost, run

#: Told what is about to run and what came out.
Teller = Callable[[str], None]


def race(
    contenders: Sequence[Contender],
    image: Image,
    measures: Sequence[str],
    rounds: int,
    tell: Teller,
) -> Iterator[Sample]:
    """Every contender runs all its measures on a fresh repository, in each round.

    The order rotates, so that nobody always runs first. A contender's folder goes before the next
    one begins: a repository and a restored disk at a time fit into memory-backed folders.
    """
    warm(image.path)
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in (*contenders[turn:], *contenders[:turn]):
            chosen = _with_requirements(contender, measures)
            if not contender.version or not chosen:
                continue
            shutil.rmtree(contender.folder, ignore_errors=True)
            contender.folder.mkdir(parents=True)
            try:
                yield from _turn(contender, image, chosen, number, tell)
            finally:
                shutil.rmtree(contender.folder)


def _with_requirements(contender: Contender, measures: Sequence[str]) -> list[str]:
    """The contender's measures among the asked; all but the first need a first backup."""
    chosen = [measure for measure in contender.trials if measure in measures]
    if chosen and "first" in contender.trials and "first" not in chosen:
        chosen.insert(0, "first")
    return chosen


def _turn(
    contender: Contender, image: Image, measures: Sequence[str], number: int, tell: Teller
) -> Iterator[Sample]:
    for command in contender.prepare:
        run(command, contender.folder / "log")
    for measure in measures:
        trial = contender.trials[measure]
        with second_day(image) if measure == "second" else nullcontext():
            cost = run(trial.command, contender.folder / "log")
        sample = sample_of(contender, measure, number, cost, details_of(cost.output))
        _check(contender, trial, image)
        tell(f"{measure:10} round {number + 1}  {contender.label:22} {sample.seconds:8.2f} s")
        yield sample


def sample_of(
    contender: Contender, measure: str, number: int, cost: Cost, details: dict[str, float]
) -> Sample:
    """What one run of a contender took, and what it keeps in store after it."""
    return Sample(
        contender.name,
        contender.variant,
        measure,
        number,
        cost.seconds,
        cost.cpu_seconds,
        cost.peak_rss,
        cost.load,
        disk_usage(contender.stored) if contender.stored else 0,
        details,
    )


def details_of(output: str) -> dict[str, float]:
    """The numbers of a program that prints one JSON object on its last line; else nothing."""
    lines = output.strip().splitlines()
    try:
        found = loads(lines[-1]) if lines else {}
    except JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _check(contender: Contender, trial: Trial, image: Image) -> None:
    """A restore that is not identical makes every figure worthless. Frees the restored disk."""
    if trial.restored is None:
        return
    if not same_content(image.path, trial.restored):
        raise BenchError(f"{contender.label} restored a disk that differs from the original")
    trial.restored.unlink()


def disk_usage(path: Path) -> int:
    """Bytes that a file or folder takes on disk."""
    if path.is_file():
        return path.stat().st_blocks * 512
    return sum(
        os.lstat(os.path.join(parent, name)).st_blocks * 512
        for parent, _, files in os.walk(path)
        for name in files
    )
