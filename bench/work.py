"""What the measured processes of this project do: one task per process, through the public API.

Each prints one JSON object: at least ``inside``, the seconds between the end of the imports and
the end of the task. The rest of a run's time is the interpreter's start.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from json import dumps
from pathlib import Path

import hypersdk
from bench.contender import PASSPHRASE
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.points import RestorePoint, RetentionPolicy
from hypersdk.repository.format import CHUNK_SIZE_MIN

KIB = 1 << 10
#: Instance and disk of the mock hypervisor.
INSTANCE, DISK = "large", "vda"
CHANGES, CHANGE_SIZE = 100, 64 * KIB
#: Chunks of the synthetic disk for prune and gc, of the smallest size that the format allows.
GC_CHUNKS = 10_000
#: Bytes of address space; far above every bar.
MEMORY_LIMIT = 8 << 30

Result = dict[str, float]


def make_repository(location: str) -> Result:
    """An empty repository, encrypted under a passphrase."""
    hypersdk.init_repository(location, protect=hypersdk.Protect.passphrase(PASSPHRASE)).close()
    return {}


def backup(location: str, cache: str, image: str) -> Result:
    """Back up an image file. A file has no record of changes, so all of it is read."""
    options = hypersdk.BackupOptions(image_format="raw")
    with closing(_open(location, cache)) as repository:
        point = hypersdk.backup_image(repository, image, DISK, options=options)
    return _statistics(point)


def restore(location: str, cache: str, name: str, target: str) -> Result:
    """The latest point of ``name`` as a raw file."""
    with closing(_open(location, cache)) as repository:
        disks = hypersdk.restore(repository, repository.find(name), target)
    return {"written": disks[0].written}


def make_instance(folder: str, size: str, writes: str) -> Result:
    """An instance with one large disk and data in ``writes`` places all over it."""
    with closing(MockHypervisor(Path(folder))) as mock:
        mock.create_instance(INSTANCE, {DISK: int(size)})
        _scatter(mock, int(size), int(writes), seed=1)
    return {}


def change_instance(folder: str, size: str, seed: str) -> Result:
    """What a guest does between two backups: 100 changes of 64 KiB, anywhere."""
    with closing(MockHypervisor(Path(folder))) as mock:
        _scatter(mock, int(size), CHANGES, seed=int(seed))
    return {}


def backup_instance(location: str, cache: str, folder: str) -> Result:
    """In full the first time, then by the hypervisor's record of changed blocks."""
    with (
        closing(_open(location, cache)) as repository,
        closing(hypersdk.connect(f"mock://{folder}")) as hypervisor,
    ):
        point = hypersdk.backup_instance(repository, hypervisor, INSTANCE)
    return _statistics(point) | {"incremental": float(point.disks[0].incremental)}


def make_history(location: str, cache: str, image: str, points: str, changes: str) -> Result:
    """Many restore points of one disk, each with ``changes`` new chunks that compress to almost
    nothing: many chunks are what prune and gc work on, not many bytes."""
    chosen = random.Random(7)  # noqa: S311 - reproducible places, nothing secret
    options = hypersdk.BackupOptions(chunk_size=CHUNK_SIZE_MIN, image_format="raw")
    number = 0
    with closing(_open(location, cache)) as repository, Path(image).open("w+b", 0) as disk:
        disk.truncate(GC_CHUNKS * CHUNK_SIZE_MIN)
        for day in range(int(points)):
            touched = (
                range(GC_CHUNKS) if day == 0 else chosen.sample(range(GC_CHUNKS), int(changes))
            )
            for chunk in touched:
                number += 1
                os.pwrite(disk.fileno(), number.to_bytes(8, "big"), chunk * CHUNK_SIZE_MIN)
            hypersdk.backup_image(repository, image, DISK, options=options)
    return {"chunks": number, "points": float(points)}


def collect(location: str, cache: str, keep: str) -> Result:
    """Prune, then two garbage collections, with a cache that is empty at the start.

    Usually the second run sweeps what the first condemned; without grace time the first does both,
    and the second looks at everything once more.
    """
    with closing(_open(location, cache)) as repository:
        times = [time.perf_counter()]
        decisions = hypersdk.prune(repository, RetentionPolicy(last=int(keep)))
        times.append(time.perf_counter())
        first = hypersdk.collect_garbage(repository, grace=timedelta(0))
        times.append(time.perf_counter())
        second = hypersdk.collect_garbage(repository, grace=timedelta(0))
        times.append(time.perf_counter())
        kept = len(repository.points())
    prune, collection, again = (end - start for start, end in pairwise(times))
    return {
        "pruned": sum(not decision.keep for decision in decisions),
        "points_left": kept,
        "prune_seconds": prune,
        "first_seconds": collection,
        "second_seconds": again,
        "condemned_packs": first.condemned_packs,
        "repacked_bytes": first.repacked_bytes,
        "swept_packs": first.swept_packs + second.swept_packs,
    }


def _open(location: str, cache: str) -> hypersdk.Repository:
    return hypersdk.open_repository(
        location, key=hypersdk.Key.passphrase(PASSPHRASE), cache=Path(cache)
    )


def _scatter(mock: MockHypervisor, size: int, writes: int, seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - reproducible places, nothing secret
    with mock.guest(INSTANCE, DISK) as guest:
        for _ in range(writes):
            place = source.randrange(size // CHANGE_SIZE) * CHANGE_SIZE
            guest.write(place, source.randbytes(CHANGE_SIZE // 2) + bytes(CHANGE_SIZE // 2))


def _statistics(point: RestorePoint) -> Result:
    found = point.disks[0].statistics
    return {"read": found.read, "stored": found.stored, "changed": found.changed}


TASKS: Mapping[str, Callable[..., Result]] = {
    task.__name__: task
    for task in (
        make_repository,
        backup,
        restore,
        make_instance,
        change_instance,
        backup_instance,
        make_history,
        collect,
    )
}


def main() -> None:
    # A leak must fail this task, not the machine that the benchmark runs on.
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    begun = time.perf_counter()
    name, *arguments = sys.argv[1:]
    result = TASKS[name](*arguments)
    sys.stdout.write(dumps({"inside": time.perf_counter() - begun, **result}) + "\n")


if __name__ == "__main__":
    main()
