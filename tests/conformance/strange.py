"""A child of the runner with cases that behave badly, and results for tests of reports.

``python -m tests.conformance.strange`` is a program for the runner. Its target stands for a
hypervisor without any part; what it does on the way is named in the URL: ``strange://refuses``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, cast

from hypersdk.conformance import child
from hypersdk.conformance.case import Case
from hypersdk.conformance.expect import Skipped
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.results import CaseResult, HypervisorResult, Run, Sample, Verdict
from hypersdk.conformance.target import Expectations, Guest, Observer, Site, Target
from hypersdk.drivers.ports import PARTS, Hypervisor
from hypersdk.model.capabilities import Capability, Grade, Limit
from hypersdk.model.errors import HypervisorUnreachable
from hypersdk.model.hosts import HostInfo
from hypersdk.model.specs import DiskSpec, InstanceSpec

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "tests.conformance.strange")
HOSTILE = "<script>alert('1')</script> & \"quotes\" \x00\x1b[31m ]]> \ud800"


def variables(**more: str) -> Mapping[str, str]:
    """The environment of children: they find this module wherever tests are run."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


class StrangeTarget:
    """A hypervisor that answers and has nothing."""

    observer: Observer | None = None
    guest: Guest | None = None
    expectations = Expectations(settle=0.0)

    def __init__(self, url: str) -> None:
        self.url = url

    def connect(self) -> Hypervisor:
        if "refuses" in self.url:
            raise HypervisorUnreachable("nobody listens", hint="Start it.")
        return cast("Hypervisor", _Nothing(self.url))

    def spec(self, name: str) -> InstanceSpec:
        return InstanceSpec(name=name)

    def disk(self, name: str) -> DiskSpec | None:
        return None

    def disconnect(self, hypervisor: Hypervisor) -> bool:
        return False

    def close(self) -> None:
        """Leaves a mark, so that tests see that cleaning up was possible."""
        mark = os.environ.get("STRANGE_MARK")
        if mark:
            Path(mark).write_text("closed")


class _Nothing:
    def __init__(self, url: str) -> None:
        self.url = url
        for part in PARTS:
            setattr(self, part, None)

    def close(self) -> None:
        """Nothing is held."""


def _passes(lab: Lab) -> None:
    print("noise on standard output")  # must not get among the events


def _fails(lab: Lab) -> None:
    raise AssertionError(HOSTILE)


def _skips(lab: Lab) -> None:
    raise Skipped("not here")


def _hangs(lab: Lab) -> None:
    time.sleep(600)


def _dies(lab: Lab) -> None:
    print("dying now", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)


def _leaves_a_process(lab: Lab) -> None:
    """It holds on to all descriptors that it can get, as a hypervisor's process would."""
    process = subprocess.Popen(["sleep", "600"])
    Path(os.environ["STRANGE_PID"]).write_text(str(process.pid))


_CASES = {
    "passes": _passes,
    "fails": _fails,
    "skips": _skips,
    "hangs": _hangs,
    "dies": _dies,
    "leaves": _leaves_a_process,
}


def catalogue(suites: Collection[str]) -> Sequence[Case]:
    """The cases that ``suites`` names, in that order."""
    return [
        Case(
            id=f"strange.{name}-{number}",
            requirement="core",
            title=f"This case {name}.",
            suite="strange",
            run=_CASES[name],
        )
        for number, name in enumerate(suites)
    ]


def find(url: str, site: Site) -> Target:
    return cast("Target", StrangeTarget(url))


def main() -> NoReturn:
    child.main(find=find, catalogue=catalogue)


BEGAN = datetime(2026, 11, 21, 2, 0, 0, 123000, tzinfo=UTC)


def case(
    id: str,
    verdict: Verdict = Verdict.PASSED,
    *,
    requirement: str = "",
    reason: str = "",
    trace: str = "",
    leaks: tuple[str, ...] = (),
    seconds: float = 0.25,
) -> CaseResult:
    return CaseResult(
        case=id,
        requirement=requirement or id.partition(".")[0],
        title=f"What {id} says.",
        verdict=verdict,
        reason=reason,
        trace=trace,
        leaks=leaks,
        began=BEGAN,
        seconds=seconds,
    )


def samples(operation: str, *seconds: float) -> tuple[Sample, ...]:
    return tuple(
        Sample(operation=operation, index=index, seconds=each) for index, each in enumerate(seconds)
    )


def host(product: str = "mock") -> HostInfo:
    return HostInfo(
        name="lab",
        product=product,
        version="1.2",
        architecture="x86_64",
        vcpus=2,
        memory=8 << 30,
        memory_available=4 << 30,
        storage_available=None,
        active_instances=0,
    )


def result(
    driver: str = "mock",
    *cases: CaseResult,
    capabilities: tuple[Capability, ...] = (),
    samples: tuple[Sample, ...] = (),
    problem: str = "",
) -> HypervisorResult:
    return HypervisorResult(
        url=f"{driver}:///lab",
        driver=driver,
        host=None if problem and not cases else host(driver),
        capabilities=capabilities,
        cases=cases,
        samples=samples,
        problem=problem,
        began=BEGAN,
        seconds=12.5,
    )


def made_run(*hypervisors: HypervisorResult, id: str = "01JD0000000000000000000000") -> Run:
    return Run(
        id=id,
        began=BEGAN,
        seconds=13.0,
        environment={"hypersdk": "0.1.0", "kernel": "Linux"},
        hypervisors=hypervisors,
    )


def example() -> Run:
    """Two hypervisors with all that a report has to show, hostile words among it."""
    limit = Limit("snapshots.memory", "containers have no memory to keep")
    return made_run(
        result(
            "mock",
            case("lifecycle.starts"),
            case("snapshots.reverts"),
            case("snapshots.memory", requirement="snapshots.memory"),
            capabilities=(
                Capability("lifecycle", Grade.FULL),
                Capability("snapshots", Grade.FULL),
                Capability("console", Grade.NONE),
            ),
            samples=(*samples("create", 0.06, 0.07, 0.08), *samples("list", 0.001)),
        ),
        result(
            "docker",
            case(
                "lifecycle.starts",
                Verdict.FAILED,
                reason=HOSTILE,
                trace=HOSTILE,
                leaks=("disk <b>",),
            ),
            case("snapshots.reverts"),
            case(
                "snapshots.memory",
                Verdict.SKIPPED,
                requirement="snapshots.memory",
                reason=f"snapshots.memory: {limit.note}",
            ),
            capabilities=(
                Capability("lifecycle", Grade.FULL),
                Capability("snapshots", Grade.PARTIAL, (limit,)),
                Capability("console", Grade.NONE),
            ),
            samples=samples("create", 0.9, 1.0, 1.1),
        ),
    )


if __name__ == "__main__":
    main()
