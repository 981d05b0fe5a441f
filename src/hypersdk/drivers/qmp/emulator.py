"""The QEMU that is installed: where it is, and which version."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hypersdk.datapath import qemutools
from hypersdk.drivers.qmp.errors import native
from hypersdk.model.errors import MissingRequirement

PROGRAM = "qemu-system-x86_64"
#: ``screendump`` gives PNG since 7.1; the rest of what we use is older.
OLDEST = (7, 1)
_VERSION = re.compile(r"version (\d+)\.(\d+)(?:\.(\d+))?")
_MACHINE = re.compile(r"alias of (pc-q35-[\w.]+)")
_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Emulator:
    """One installed QEMU."""

    program: str
    version: tuple[int, int, int]
    #: Its newest q35 machine: ``pc-q35-7.2``.
    machine: str

    @property
    def version_text(self) -> str:
        return ".".join(str(number) for number in self.version)


def installed() -> Emulator:
    """The QEMU on the PATH. Raises MissingRequirement when there is none, or one too old."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise MissingRequirement(
            f"{PROGRAM} is not installed",
            hint="Install it: apt-get install qemu-system-x86 qemu-utils",
        )
    qemutools.need("qemu-img")
    file = Path(program).resolve()
    with native(f"look at {program}"):
        found = file.stat()
    return _described(program, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=8)
def _described(program: str, changed: int, size: int) -> Emulator:  # noqa: ARG001 - keys of the cache
    match = _VERSION.search(_output(program, "--version"))
    if match is None:
        raise MissingRequirement(
            f"{program} does not say its version", hint="Install QEMU anew, 7.1 or later."
        )
    version = (int(match[1]), int(match[2]), int(match[3] or 0))
    if version[:2] < OLDEST:
        raise MissingRequirement(
            f"{program} is QEMU {version[0]}.{version[1]}, which is too old",
            hint=f"Install {OLDEST[0]}.{OLDEST[1]} or later.",
        )
    machine = _MACHINE.search(_output(program, "-machine", "help"))
    if machine is None:
        raise MissingRequirement(
            f"{program} has no q35 machine", hint="Install the package qemu-system-x86."
        )
    return Emulator(program, version, machine[1])


def _output(*command: str) -> str:
    try:
        with native(f"run {command[0]}"):
            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                stdin=subprocess.DEVNULL,
                env=qemutools.environment(),
            )
    except subprocess.TimeoutExpired as error:
        raise MissingRequirement(
            f"{command[0]} does not answer within {_SECONDS} s", hint="Install QEMU anew."
        ) from error
    return done.stdout
