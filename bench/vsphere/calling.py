"""How the measured programs are called, and what is kept of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.contender import Sample
from bench.image import same_content
from bench.measure import BenchError, Command, Cost, run
from bench.race import Teller, details_of
from hypersdk.cli.demolab import install
from tests.vsphere.lab import PASSWORD, VsphereLab


def call(command: Command, lab: VsphereLab, work: Path) -> Cost:
    """Run a command whose vSphere is the lab. Raises BenchError when it fails."""
    environment = {**_environment(lab), **command.environment}
    return run(Command(command.arguments, command.cwd, environment), work / "log")


def _environment(lab: VsphereLab) -> dict[str, str]:
    return {
        "GOVC_URL": lab.sdk, "GOVC_USERNAME": lab.user, "GOVC_PASSWORD": PASSWORD,
        "GOVC_INSECURE": "1", "GOVC_PERSIST_SESSION": "false",
    }  # fmt: skip


def sample(
    name: str, measure: str, number: int, cost: Cost, tell: Teller, more: dict[str, float]
) -> Sample:
    """One run, told and kept."""
    tell(
        f"{measure:20} round {number + 1}  {name:16} {cost.seconds:8.2f} s "
        f"{cost.cpu_seconds:8.2f} s of processor {cost.peak_rss >> 20:5} MiB"
    )
    return Sample(
        name, "", measure, number, cost.seconds, cost.cpu_seconds, cost.peak_rss, cost.load,
        details=details_of(cost.output) | more,
    )  # fmt: skip


def check_disk(packed: Path, original: Path) -> None:
    """Raises BenchError when an exported disk is not the original."""
    back = packed.with_name("back.raw")
    convert = ("qemu-img", "convert", "-O", "raw", str(packed), str(back))
    run(Command(convert), packed.with_name("log"))
    if not same_content(original, back):
        raise BenchError("an exported disk differs from the original")


def fill(path: Path, size: int, content: Iterator[bytes], length: int) -> None:
    """Make a raw disk of ``size`` bytes with ``length`` bytes of files on it."""
    with path.open("wb") as file:
        file.truncate(size)
        install(_Disk(file.fileno()), size, content, length)


@dataclass(frozen=True, slots=True)
class _Disk:
    """A raw file, as a guest writes its disk."""

    descriptor: int

    def write(self, offset: int, data: bytes) -> None:
        os.pwrite(self.descriptor, data, offset)

    def discard(self, offset: int, length: int) -> None:
        os.pwrite(self.descriptor, bytes(length), offset)
