"""Backups of one large disk into a repository: in full, and of its changed areas."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.contender import OURS, Sample
from bench.measure import BenchError, python_module
from bench.race import Teller
from bench.vsphere.calling import call, sample
from bench.vsphere.measures import FULL_BACKUP, INCREMENTAL, Scale
from tests.vsphere.lab import VsphereLab

_BLOCK = 64 << 10


def backups(work: Path, scale: Scale, rounds: int, tell: Teller) -> Iterator[Sample]:
    """A first backup in full, and one after each round of changes."""
    work.mkdir(parents=True)
    repository, cache = str(work / "repository"), str(work / "cache")
    with VsphereLab.start(work / "lab") as lab:
        lab.add_vm(name="large", disks=[{"size": scale.large}], cbt=True)
        _change(lab, scale, "first")
        call(python_module("bench.vsphere.tasks", "make_repository", repository), lab, work)
        backup = python_module("bench.vsphere.tasks", "backup", lab.url, "large", repository, cache)
        yield sample(OURS, FULL_BACKUP, 0, call(backup, lab, work), tell, {})
        for number in range(rounds):
            _change(lab, scale, str(number))
            found = sample(OURS, INCREMENTAL, number, call(backup, lab, work), tell, {})
            if not found.details.get("incremental"):
                raise BenchError("the backup was not incremental")
            yield found
    shutil.rmtree(work)


def _change(lab: VsphereLab, scale: Scale, seed: str) -> None:
    step = scale.large // scale.changes // _BLOCK * _BLOCK
    writes = [
        {"offset": number * step, "length": _BLOCK, "seed": f"{seed}-{number}"}
        for number in range(scale.changes)
    ]
    lab.write("large", 0, writes)
