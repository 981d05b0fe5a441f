"""This project in the race, and the measures that only it runs.

Every figure is of a whole process, as for the peers: start of the interpreter, unlocking of the
repository by its passphrase, the work, the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.contender import OURS, Contender, Sample, Trial
from bench.image import Image
from bench.measure import BenchError, Command, Cost, python_module, run
from bench.race import Teller, details_of, disk_usage

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the measures of our own are."""

    #: Virtual sizes of the disks of the incremental backup, bytes.
    disks: tuple[int, ...] = (64 * GIB, 256 * GIB, 1024 * GIB)
    #: Places that hold data on each of them.
    writes: int = 2000
    #: Restore points of the repository for prune and gc, and new chunks in each.
    points: int = 200
    changes: int = 5000
    #: How many points prune keeps.
    keep: int = 100


FULL = Scale()
QUICK = Scale(disks=(GIB, 16 * GIB), writes=50, points=3, changes=500, keep=2)


def hypersdk(folder: Path, image: Image) -> Contender:
    """First backup encrypted, with a cache folder of its own as any user has one."""
    repository, cache, target = folder / "repository", folder / "cache", folder / "restored.raw"
    backup = Trial(task("backup", repository, cache, image.path))
    return Contender(
        OURS,
        "",
        version("hypersdk"),
        folder,
        {
            "first": backup,
            "unchanged": backup,
            "restore": Trial(task("restore", repository, cache, "vda", target), target),
            "second": backup,
        },
        (task("make_repository", repository),),
        repository,
    )


def task(name: str, *arguments: str | Path) -> Command:
    """One task of bench/work.py in a process of its own."""
    return python_module("bench.work", name, *arguments)


def large_disks(folder: Path, scale: Scale, rounds: int, tell: Teller) -> Iterator[Sample]:
    """Measures ``incremental`` and ``memory``, for each size of disk."""
    for size in scale.disks:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield from _large_disk(folder, size, scale.writes, rounds, tell)
        finally:
            shutil.rmtree(folder)


def _large_disk(
    folder: Path, size: int, writes: int, rounds: int, tell: Teller
) -> Iterator[Sample]:
    log, lab = folder / "log", folder / "lab"
    repository, cache, target = folder / "repository", folder / "cache", folder / "restored.raw"
    label = f"{size // GIB} GiB"
    backup = task("backup_instance", repository, cache, lab)
    run(task("make_repository", repository), log)
    run(task("make_instance", lab, str(size), str(writes)), log)
    yield _own("memory", f"full backup, {label}", 0, run(backup, log), tell)
    for number in range(rounds):
        run(task("change_instance", lab, str(size), str(100 + number)), log)
        sample = _own("incremental", label, number, run(backup, log), tell)
        if not sample.details.get("incremental"):
            raise BenchError(f"the backup of the {label} disk was not incremental")
        yield sample
    restore = task("restore", repository, cache, "large", target)
    yield _own("memory", f"restore, {label}", 0, run(restore, log), tell)


def garbage(folder: Path, scale: Scale, rounds: int, tell: Teller) -> Iterator[Sample]:
    """Measures ``history`` and ``gc``: the same history is pruned and collected in each round."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log, history, cache = folder / "log", folder / "history", folder / "cache"
    counts = (str(scale.points), str(scale.changes))
    try:
        run(task("make_repository", history), log)
        making = task("make_history", history, cache, folder / "disk.raw", *counts)
        made = _own("history", "", 0, run(making, log), tell)
        yield made
        per_million = disk_usage(cache) / made.details["chunks"] * 1_000_000
        for number in range(rounds):
            copy, empty = folder / f"copy{number}", folder / f"cache{number}"
            run(Command(("cp", "-a", str(history), str(copy))), log)
            cost = run(task("collect", copy, empty, str(scale.keep)), log)
            more = {"chunks": made.details["chunks"], "cache_per_million": per_million}
            sample = _own("gc", "", number, cost, tell, more)
            if not sample.details["swept_packs"]:
                raise BenchError("the garbage collection freed nothing")
            yield sample
            shutil.rmtree(copy)
            shutil.rmtree(empty)
    finally:
        shutil.rmtree(folder)


def _own(
    measure: str,
    variant: str,
    number: int,
    cost: Cost,
    tell: Teller,
    more: dict[str, float] | None = None,
) -> Sample:
    tell(
        f"{measure:10} round {number + 1}  {variant or OURS:22} {cost.seconds:8.2f} s "
        f"{cost.peak_rss >> 20:5} MiB"
    )
    details = details_of(cost.output) | (more or {})
    return Sample(
        OURS,
        variant,
        measure,
        number,
        cost.seconds,
        cost.cpu_seconds,
        cost.peak_rss,
        cost.load,
        details=details,
    )
