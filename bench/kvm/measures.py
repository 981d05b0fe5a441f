"""The measures on a running guest."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import libvirt

from bench.contender import OURS, Contender, Sample
from bench.image import Recipe
from bench.kvm.contenders import (
    DISK,
    FULL,
    IDLE_GUEST,
    LATENCY,
    PARALLEL,
    PEER,
    RESTORE,
    SCATTERED,
    TURN,
    Ours,
)
from bench.kvm.guest import GIB, MIB, Origin, RunningGuest, running_guest, same_disks
from bench.measure import BenchError, Command, Cost, run
from bench.race import Teller, disk_usage, sample_of
from tests.kvm.daemon import Libvirtd
from tests.kvm.domains import DiskSpec, domain_xml

DOMAINS = 20


@dataclass(frozen=True, slots=True)
class Scale:
    """How large it all is."""

    recipe: Recipe
    #: Random writes before the incremental backup.
    writes: int
    #: Seconds for which the guest writes undisturbed.
    undisturbed: float
    #: Bytes of data on each disk of the parallel backups.
    small: int


FULL_SCALE = Scale(Recipe(16 * GIB, 3 * GIB + 700 * MIB), 20_000, 15, 16 * MIB)
QUICK_SCALE = Scale(Recipe(512 * MIB, 60 * MIB), 300, 2, 2 * MIB)


@dataclass(frozen=True, slots=True)
class Lab:
    """Where it all happens."""

    daemon: Libvirtd
    connection: libvirt.virConnect
    origin: Origin
    scale: Scale
    #: Holds the running guest's disk; QEMU reaches it.
    folder: Path
    #: For what tools put beside a running backup: scratch files and sockets.
    scratch: Path
    tell: Teller


def turns(
    lab: Lab, contenders: Sequence[Contender], measures: Sequence[str], rounds: int
) -> Iterator[Sample]:
    """Each contender has the guest for itself, on a fresh copy of the disk, in each round.

    So nobody meets the checkpoints of another. The order rotates.
    """
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in (*contenders[turn:], *contenders[:turn]):
            with _place(contender.folder), _guest(lab) as guest:
                yield from _turn(lab, guest, contender, measures, number)


def _turn(
    lab: Lab, guest: RunningGuest, contender: Contender, measures: Sequence[str], number: int
) -> Iterator[Sample]:
    for command in contender.prepare:
        run(command, contender.folder / "log")
    for measure in TURN:
        if measure not in measures and measure != FULL:
            continue
        if measure == SCATTERED:
            guest.scatter(number)
        before = _data(contender)
        trial = contender.trials[measure]
        cost = run(trial.command, contender.folder / "log")
        details = _statistics(contender, measure, cost)
        details["added"] = _data(contender) - before
        yield _told(lab, sample_of(contender, measure, number, cost, details))
        if trial.restored is not None:
            guest.stop()
            if not same_disks(guest.path, trial.restored):
                raise BenchError(f"{contender.label} restored a disk that differs from the guest's")


def latencies(lab: Lab, contenders: Sequence[Contender], rounds: int) -> Iterator[Sample]:
    """How long the guest's writes take while nobody, and while each contender, backs it up.

    The guest writes all the time. A full backup: it takes longest and disturbs most.
    """
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in (*contenders[turn:], *contenders[:turn]):
            with _place(contender.folder), _guest(lab) as guest:
                for command in contender.prepare:
                    run(command, contender.folder / "log")
                with guest.writing():
                    yield _told(lab, _undisturbed(lab, guest, number))
                    guest.count_latencies()
                    cost = run(contender.trials[FULL].command, contender.folder / "log")
                    details = _rated(guest.latencies(), cost.seconds)
                yield _told(lab, sample_of(contender, LATENCY, number, cost, details))


def _undisturbed(lab: Lab, guest: RunningGuest, number: int) -> Sample:
    guest.count_latencies()
    time.sleep(lab.scale.undisturbed)
    details = _rated(guest.latencies(), lab.scale.undisturbed)
    return Sample(IDLE_GUEST, "", LATENCY, number, lab.scale.undisturbed, 0, 0, 0, 0, details)


def _rated(found: dict[str, float], seconds: float) -> dict[str, float]:
    return {**found, "writes_per_second": found["writes"] / seconds}


def parallel(lab: Lab, url: str, work: Path, rounds: int) -> Iterator[Sample]:
    """Many domains at once, a process for each, into one repository; then all are restored."""
    ours = Ours(work / "parallel", lab.scratch, url)
    for number in range(rounds):
        with _place(ours.folder):
            with _domains(lab) as disks:
                for command in ours.prepare():
                    run(command, ours.folder / "log")
                cost = _at_once(ours.folder, {name: ours.backup(name) for name in disks})
            yield _told(lab, _parallel_sample(number, cost, ours, len(disks)))
            for name, path in disks.items():
                target = ours.folder / f"{name}.restored"
                run(ours.restore(target, name), ours.folder / "log")
                if not same_disks(path, target):
                    raise BenchError(f"the restored disk of {name} differs from the domain's")
                target.unlink()
                path.unlink()


def _parallel_sample(number: int, cost: Cost, ours: Ours, domains: int) -> Sample:
    stored = disk_usage(ours.repository)
    amounts = (cost.seconds, cost.cpu_seconds, cost.peak_rss, cost.load, stored)
    return Sample(OURS, "", PARALLEL, number, *amounts, {"domains": domains})


def _at_once(folder: Path, commands: dict[str, Command]) -> Cost:
    """Start all together. The peak is that of the largest process. Raises what the first raises."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(len(commands)) as pool:
        costs = list(pool.map(lambda each: run(each[1], folder / each[0]), commands.items()))
    seconds = time.perf_counter() - begun
    cpu = sum(cost.cpu_seconds for cost in costs)
    return Cost(seconds, cpu, max(cost.peak_rss for cost in costs), costs[0].load, "")


@contextmanager
def _place(folder: Path) -> Iterator[None]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder)


def _guest(lab: Lab) -> AbstractContextManager[RunningGuest]:
    return running_guest(lab.daemon, lab.connection, lab.origin, lab.folder)


@contextmanager
def _domains(lab: Lab) -> Iterator[dict[str, Path]]:
    """Paused domains without a system, by name; their disks stay behind."""
    domains, disks = [], {}
    try:
        for number in range(DOMAINS):
            name = f"small{number:02d}"
            disks[name] = lab.origin.small_disk(
                lab.folder / f"{name}.qcow2", number, lab.scale.small
            )
            xml = domain_xml(name, [DiskSpec(disks[name])], memory_mib=32)
            domains.append(lab.connection.defineXML(xml))
            domains[-1].createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        yield disks
    finally:
        for domain in domains:
            if domain.isActive():
                domain.destroy()
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)


def _data(contender: Contender) -> int:
    """Bytes in the store, without the kernel that the peer copies anew for every backup."""
    stored = contender.stored
    if stored is None:
        return 0
    if contender.name == PEER:
        return sum(map(disk_usage, stored.glob("*.data")))
    return disk_usage(stored)


def _statistics(contender: Contender, measure: str, cost: Cost) -> dict[str, float]:
    """What our command says of itself. Raises BenchError when it did other work than it should."""
    if contender.name != OURS or measure == RESTORE:
        return {}
    (point,) = json.loads(cost.output)["points"]
    (disk,) = (disk for disk in point["disks"] if disk["name"] == DISK)
    if disk["incremental"] != (measure != FULL):
        raise BenchError(f"{contender.label}, {measure}: {disk['reason']}")
    return {name: disk["statistics"][name] for name in ("read", "changed", "stored")}


def _told(lab: Lab, sample: Sample) -> Sample:
    who = f"{sample.contender} {sample.variant}".strip()
    lab.tell(
        f"{sample.measure:14} round {sample.round + 1}  {who:18} {sample.seconds:8.2f} s "
        f"{sample.stored >> 20:6} MiB stored"
    )
    return sample
