"""A large inventory: listed, shown, and followed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.contender import OURS, Sample
from bench.measure import BenchError, Command, python_module
from bench.race import Teller
from bench.vsphere.calling import call, sample
from bench.vsphere.measures import FIRST_ROW, LIST, UPDATE, Scale
from tests.vsphere.lab import PASSWORD, VsphereLab

#: Commands that show machines → their arguments before the URL.
SCREENS = {
    "hyperexport": ("hyperexport", "-H"),
    "hypersdk fleet list": ("hypersdk", "fleet", "list", "-H"),
}
#: In the names of the lab's machines.
_A_NAME = "_VM"


def inventories(
    work: Path, scale: Scale, measures: Sequence[str], rounds: int, tell: Teller
) -> Iterator[Sample]:
    """All measures on one inventory, round after round."""
    work.mkdir(parents=True)
    tell(f"making {scale.machines} machines …")
    with VsphereLab.start(work / "lab", vms=scale.machines) as lab:
        tasks: dict[str, tuple[str, ...]] = {
            LIST: ("lists", lab.url, PASSWORD),
            UPDATE: ("updates", lab.url, str(scale.updates)),
        }
        for number in range(rounds):
            for measure, words in tasks.items():
                if measure in measures:
                    command = python_module("bench.vsphere.tasks", *words, str(number))
                    found = sample(OURS, measure, number, call(command, lab, work), tell, {})
                    _check(found, scale)
                    yield found
            if FIRST_ROW in measures:
                for name, words in SCREENS.items():
                    program = Path(sys.executable).with_name(words[0])
                    command = _on_terminal(program, *words[1:], lab.url)
                    yield sample(name, FIRST_ROW, number, call(command, lab, work), tell, {})
    shutil.rmtree(work)


def _on_terminal(*words: str | Path) -> Command:
    return python_module("bench.vsphere.firstrow", _A_NAME, *words)


def _check(found: Sample, scale: Scale) -> None:
    if found.details["machines"] != scale.machines:
        raise BenchError(f"{found.details['machines']:.0f} of {scale.machines} were listed")
