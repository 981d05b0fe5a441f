"""Run one program and say what it cost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: A contender that needs longer than this is broken, not slow.
TIMEOUT_SECONDS = 3600

ROOT = Path(__file__).resolve().parent.parent
LAUNCH = Path(__file__).with_name("launch.py")


#: Installed packages have their bytecode. Where a developer keeps Python from writing any, the
#: checkout's modules would be compiled in every run.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": ""}


class BenchError(Exception):
    """The benchmark cannot go on: a program failed or gave a wrong result."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program call that can be repeated."""

    arguments: tuple[str, ...]
    cwd: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a program took. Children that it waited for are included."""

    #: Wall clock, from before the start of the process to its end.
    seconds: float
    #: User and system time of all threads.
    cpu_seconds: float
    #: Bytes of resident memory at the worst moment, of the largest process.
    peak_rss: int
    #: One-minute load average of the machine just before the start.
    load: float
    output: str


def python_module(module: str, *arguments: str | Path) -> Command:
    """Run a module of this folder in a fresh interpreter, as a user's command would be."""
    return Command((sys.executable, "-m", module, *map(str, arguments)), cwd=ROOT)


def run(command: Command, log: Path) -> Cost:
    """Run ``command`` to its end. Its messages go to ``log``. Raises BenchError when it fails.

    What was written before is brought to disk first, so that nobody pays for another's writes.
    """
    os.sync()
    load = os.getloadavg()[0]
    result, output = log.with_suffix(".cost"), log.with_suffix(".out")
    launch = (sys.executable, "-I", "-S", str(LAUNCH), str(result), str(output), str(log))
    subprocess.run(
        [*launch, str(TIMEOUT_SECONDS), *command.arguments],
        cwd=command.cwd,
        env={**os.environ, **_ENVIRONMENT, **command.environment},
        check=True,
    )
    status, seconds, cpu, peak_rss = result.read_text().split()
    text = output.read_text(errors="replace")
    if status != "0":
        tail = log.read_text(errors="replace")[-2000:] + text[-2000:]
        raise BenchError(f"{' '.join(command.arguments)}: status {status}\n{tail}")
    return Cost(float(seconds), float(cpu), int(peak_rss), load, text)


def first_line(arguments: Sequence[str]) -> str:
    """What a program says about its version; empty when it is not installed."""
    try:
        result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    lines = (result.stdout + result.stderr).strip().splitlines()
    return lines[0] if lines else ""
