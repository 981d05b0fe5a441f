"""Exports: one machine with several disks beside govc, and many machines at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.contender import OURS, Sample
from bench.measure import BenchError, Command, python_module
from bench.race import Teller
from bench.vsphere.calling import call, check_disk, fill, sample
from bench.vsphere.measures import (
    DATASTORES,
    EXPORT,
    GOVC,
    HOSTS,
    MANY,
    PER_DATASTORE,
    PER_HOST,
    STREAM_RATE,
    THROTTLED,
    Scale,
)
from hypersdk.cli.demolab import file_data
from tests.vsphere.build import govc_program
from tests.vsphere.lab import VsphereLab


def exports(
    work: Path, scale: Scale, measures: Sequence[str], rounds: int, tell: Teller
) -> Iterator[Sample]:
    """All disks of one machine, by govc and by us in turn."""
    work.mkdir(parents=True)
    data = file_data()
    disks = []
    for number in range(scale.disks):
        path = work / f"disk-{number}.raw"
        fill(path, scale.size, data, scale.data)
        disks.append(path)
    with VsphereLab.start(work / "lab") as lab:
        lab.add_vm(name="big", disks=[{"source": path} for path in disks])
        # The lab packs each disk once; what is measured are its clients.
        call(_govc(work / "warm"), lab, work)
        shutil.rmtree(work / "warm")
        for measure in (one for one in (THROTTLED, EXPORT) if one in measures):
            lab.throttle(STREAM_RATE if measure == THROTTLED else 0)
            for number in range(rounds):
                yield from _round(lab, work, measure, number, disks, scale, tell)
    shutil.rmtree(work)


def _round(
    lab: VsphereLab,
    work: Path,
    measure: str,
    number: int,
    disks: Sequence[Path],
    scale: Scale,
    tell: Teller,
) -> Iterator[Sample]:
    contenders = [
        (OURS, python_module("bench.vsphere.tasks", "export", lab.url, "big", work / "out")),
        (GOVC, _govc(work / "out")),
    ]
    for name, command in contenders if number % 2 else contenders[::-1]:
        cost = call(command, lab, work)
        _check(work / "out", disks)
        shutil.rmtree(work / "out")
        more = {"data": float(scale.data * scale.disks)}
        yield sample(name, measure, number, cost, tell, more)


def _govc(folder: Path) -> Command:
    words = ("export.ovf", "-vm", "big", "-sha", "256", str(folder))
    return Command((str(govc_program()), *words))


def _check(folder: Path, disks: Sequence[Path]) -> None:
    """Only the first disk: that all are there and are streams is seen from their sizes."""
    found = sorted(folder.rglob("*disk-*.vmdk"))
    if len(found) != len(disks):
        raise BenchError(f"{len(found)} of {len(disks)} disks were exported")
    check_disk(found[0], disks[0])


def many(work: Path, scale: Scale, rounds: int, tell: Teller) -> Iterator[Sample]:
    """Machines on several hosts and datastores: as many at once as these may serve, and one after
    the other. What the hosts and datastores served is what the vCenter saw."""
    work.mkdir(parents=True)
    data = file_data()
    names = [f"many-{number:02}" for number in range(scale.many)]
    with VsphereLab.start(work / "lab", hosts=HOSTS) as lab:
        for number, name in enumerate(names):
            source = work / f"{name}.raw"
            fill(source, scale.many_size, data, scale.many_data)
            host, datastore = f"DC0_C0_H{number % HOSTS}", number // HOSTS % DATASTORES
            disks = [{"source": source}]
            lab.add_vm(name=name, disks=disks, host=host, datastore=f"LocalDS_{datastore}")
        call(_batch(lab, work / "out", HOSTS, names), lab, work)  # the lab packs each disk once
        shutil.rmtree(work / "out")
        lab.throttle(STREAM_RATE)
        # One by one only once: it is there to see what doing many at once is worth.
        turns = [(number, scale.many) for number in range(rounds)]
        for number, total in [*turns, (0, 1)]:
            cost = call(_batch(lab, work / "out", total, names), lab, work)
            _check_many(work / "out", work, names)
            shutil.rmtree(work / "out")
            more = {"total": float(total), **_seen(lab)}
            name = OURS if total > 1 else ONE_BY_ONE
            yield sample(name, MANY, number, cost, tell, more)
    shutil.rmtree(work)


#: The same export, one machine at a time.
ONE_BY_ONE = "hypersdk, one by one"


def _batch(lab: VsphereLab, folder: Path, total: int, names: Sequence[str]) -> Command:
    limits = (str(each) for each in (total, PER_HOST, PER_DATASTORE))
    return python_module("bench.vsphere.tasks", "batch", lab.url, folder, *limits, *names)


def _check_many(folder: Path, work: Path, names: Sequence[str]) -> None:
    """All are there; the last is looked into, which came when most others had been read."""
    found = {path.name: path for path in folder.rglob("*disk-*.vmdk")}
    if len(found) != len(names):
        raise BenchError(f"{len(found)} of {len(names)} machines were exported")
    last = next(path for name, path in found.items() if name.startswith(names[-1]))
    check_disk(last, work / f"{names[-1]}.raw")


def _seen(lab: VsphereLab) -> dict[str, float]:
    """The most leases that were open at a time since the vCenter began."""
    counts = lab.state()["lease_counts"]
    if counts["open"]:
        raise BenchError(f"{counts['open']} leases were left open")
    return {
        "most": float(counts["most"]),
        "most_per_host": float(max(counts["most_per_host"].values())),
        "most_per_datastore": float(max(counts["most_per_datastore"].values())),
    }
