"""Fill a lab, and let HyperSDK and govc export, back up and list what is in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.contender import OURS, Sample
from bench.image import same_content
from bench.machine import host_facts
from bench.measure import BenchError, Command, Cost, python_module, run
from bench.race import Teller, details_of
from bench.results import Results
from hypersdk.cli.demolab import file_data, install
from tests.vsphere.build import govc_program
from tests.vsphere.lab import PASSWORD, VsphereLab

MIB, GIB = 1 << 20, 1 << 30
GOVC = "govc export.ovf"
LIBRARY = "pyVmomi"
THROTTLED, EXPORT, INCREMENTAL, LIST = (
    "vsphere-throttled", "vsphere-export", "vsphere-incremental", "vsphere-list",
)  # fmt: skip
MEASURES = (THROTTLED, EXPORT, INCREMENTAL, LIST)
#: Bytes per second of each stream: what one NFC stream of a host was seen to give.
STREAM_RATE = 50 * MIB
_BLOCK = 64 << 10


@dataclass(frozen=True, slots=True)
class Scale:
    """How large everything is."""

    disks: int = 4
    #: Bytes of each, and of data in each.
    size: int = 2 * GIB
    data: int = GIB
    #: Bytes of the disk of the incremental backup, and its changed areas of 64 KiB.
    large: int = 100 * GIB
    changes: int = 1000
    machines: int = 10_000


FULL = Scale()
QUICK = Scale(size=64 * MIB, data=32 * MIB, large=GIB, changes=50, machines=200)


def run_vsphere(
    work: Path, scale: Scale, measures: Sequence[str], rounds: int, command: str, tell: Teller
) -> Results:
    """All measures that were asked for. Raises BenchError when an export is not what it was."""
    samples: list[Sample] = []
    if {THROTTLED, EXPORT} & set(measures):
        samples += _exports(work / "export", scale, measures, rounds, tell)
    if INCREMENTAL in measures:
        samples += _incremental(work / "incremental", scale, rounds, tell)
    if LIST in measures:
        samples += _lists(work / "list", scale, tell)
    return Results(
        runs={command: datetime.now(UTC).isoformat(timespec="seconds")},
        machine={**host_facts(), "vSphere": "lab on govmomi 0.56.0", LIBRARY: version("pyvmomi")},
        allocated=0,
        calls={f"{GOVC}, {EXPORT}": "govc export.ovf -vm big -sha 256 FOLDER"},
        absent=(),
        samples=tuple(samples),
    )


def _exports(
    work: Path, scale: Scale, measures: Sequence[str], rounds: int, tell: Teller
) -> Iterator[Sample]:
    work.mkdir(parents=True)
    data = file_data()
    disks = []
    for number in range(scale.disks):
        path = work / f"disk-{number}.raw"
        _fill(path, scale, data)
        disks.append(path)
    with VsphereLab.start(work / "lab") as lab:
        lab.add_vm(name="big", disks=[{"source": path} for path in disks])
        # The lab packs each disk once; what is measured are its clients.
        _call(_govc(lab, work / "warm"), lab, work)
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
        (GOVC, _govc(lab, work / "out")),
    ]
    for name, command in contenders if number % 2 else contenders[::-1]:
        cost = _call(command, lab, work)
        _check(work / "out", disks)
        shutil.rmtree(work / "out")
        more = {"data": float(scale.data * scale.disks)}
        yield _sample(name, measure, number, cost, tell, more)


def _govc(lab: VsphereLab, folder: Path) -> Command:
    words = ("export.ovf", "-vm", "big", "-sha", "256", str(folder))
    return Command((str(govc_program()), *words), environment=_environment(lab))


def _environment(lab: VsphereLab) -> dict[str, str]:
    return {
        "GOVC_URL": lab.sdk, "GOVC_USERNAME": lab.user, "GOVC_PASSWORD": PASSWORD,
        "GOVC_INSECURE": "1", "GOVC_PERSIST_SESSION": "false",
    }  # fmt: skip


def _call(command: Command, lab: VsphereLab, work: Path) -> Cost:
    environment = {**_environment(lab), **command.environment}
    return run(Command(command.arguments, command.cwd, environment), work / "log")


def _check(folder: Path, disks: Sequence[Path]) -> None:
    """Only the first disk: that all are there and are streams is seen from their sizes."""
    found = sorted(folder.rglob("*disk-*.vmdk"))
    if len(found) != len(disks):
        raise BenchError(f"{len(found)} of {len(disks)} disks were exported")
    back = folder / "back.raw"
    convert = ("qemu-img", "convert", "-O", "raw", str(found[0]), str(back))
    run(Command(convert), folder / "log")
    if not same_content(disks[0], back):
        raise BenchError("an exported disk differs from the original")


def _fill(path: Path, scale: Scale, data: Iterator[bytes]) -> None:
    with path.open("wb") as file:
        file.truncate(scale.size)
        install(_Disk(file.fileno()), scale.size, data, scale.data)


@dataclass(frozen=True, slots=True)
class _Disk:
    """A raw file, as a guest writes its disk."""

    descriptor: int

    def write(self, offset: int, data: bytes) -> None:
        os.pwrite(self.descriptor, data, offset)

    def discard(self, offset: int, length: int) -> None:
        os.pwrite(self.descriptor, bytes(length), offset)


def _incremental(work: Path, scale: Scale, rounds: int, tell: Teller) -> Iterator[Sample]:
    work.mkdir(parents=True)
    repository, cache = str(work / "repository"), str(work / "cache")
    with VsphereLab.start(work / "lab") as lab:
        lab.add_vm(name="large", disks=[{"size": scale.large}], cbt=True)
        _change(lab, scale, "first")
        _call(python_module("bench.vsphere.tasks", "make_repository", repository), lab, work)
        backup = python_module("bench.vsphere.tasks", "backup", lab.url, "large", repository, cache)
        _call(backup, lab, work)
        for number in range(rounds):
            _change(lab, scale, str(number))
            cost = _call(backup, lab, work)
            sample = _sample(OURS, INCREMENTAL, number, cost, tell, {})
            if not sample.details.get("incremental"):
                raise BenchError("the backup was not incremental")
            yield sample
    shutil.rmtree(work)


def _change(lab: VsphereLab, scale: Scale, seed: str) -> None:
    step = scale.large // scale.changes // _BLOCK * _BLOCK
    writes = [
        {"offset": number * step, "length": _BLOCK, "seed": f"{seed}-{number}"}
        for number in range(scale.changes)
    ]
    lab.write("large", 0, writes)


def _lists(work: Path, scale: Scale, tell: Teller) -> Iterator[Sample]:
    work.mkdir(parents=True)
    tell(f"making {scale.machines} machines …")
    with VsphereLab.start(work / "lab", vms=scale.machines) as lab:
        command = python_module("bench.vsphere.tasks", "lists", lab.url, PASSWORD)
        cost = _call(command, lab, work)
    sample = _sample(OURS, LIST, 0, cost, tell, {})
    if sample.details["machines"] != scale.machines:
        raise BenchError(f"{sample.details['machines']:.0f} of {scale.machines} were listed")
    yield sample
    shutil.rmtree(work)


def _sample(
    name: str, measure: str, number: int, cost: Cost, tell: Teller, more: dict[str, float]
) -> Sample:
    tell(
        f"{measure:20} round {number + 1}  {name:16} {cost.seconds:8.2f} s "
        f"{cost.cpu_seconds:8.2f} s of processor {cost.peak_rss >> 20:5} MiB"
    )
    return Sample(
        name, "", measure, number, cost.seconds, cost.cpu_seconds, cost.peak_rss, cost.load,
        details=details_of(cost.output) | more,
    )  # fmt: skip
