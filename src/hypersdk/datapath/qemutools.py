"""Running qemu-img with limits: images may be hostile, and a hostile image can make it spin,
or fill the memory (the reason why OpenStack limits it since 2015)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.model.errors import ImageRefused, MissingRequirement

#: Address space in bytes: what qemu-img needs for any sane image, and a bound for the others.
MEMORY_MAX = 2 << 30


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    status: int
    output: str
    #: What it said on stderr, without its name in front, at most 2000 characters.
    complaint: str


def need(program: str) -> str:
    """``program`` itself if it is installed. Raises MissingRequirement."""
    if shutil.which(program) is None:
        raise MissingRequirement(
            f"{program} is not installed; disk image formats other than raw need it",
            hint="Install it: apt-get install qemu-utils",
        )
    return program


def limited(command: Sequence[str], *, cpu_seconds: int | None, memory: int) -> list[str]:
    """``command`` run through prlimit(1), or as it is where util-linux is not installed."""
    if shutil.which("prlimit") is None:
        return list(command)
    cpu = [] if cpu_seconds is None else [f"--cpu={cpu_seconds}"]
    return ["prlimit", f"--as={memory}", "--core=0", *cpu, "--", *command]


def environment() -> dict[str, str]:
    """Ours, with messages in English: they are shown, and some are looked at."""
    return {**os.environ, "LC_ALL": "C"}


def run(command: Sequence[str], *, subject: str, seconds: int = 30) -> Outcome:
    """Run a qemu program on ``subject`` within ``seconds``; cancellable.

    Raises MissingRequirement, Interrupted, and ImageRefused when time or memory did not suffice.
    """
    need(command[0])
    process = subprocess.Popen(
        limited(command, cpu_seconds=seconds, memory=MEMORY_MAX),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C is for us, and would look like a crash here
    )
    with process:
        try:
            output, complaint = _collected(process, time.monotonic() + seconds)
        except BaseException:
            process.kill()
            raise
    if process.returncode < 0 or output is None:
        raise ImageRefused(
            f"{command[0]} did not get through {subject} within {seconds} s and "
            f"{MEMORY_MAX >> 30} GiB",
            hint="The image is damaged or made to do harm; if neither, convert it by hand to raw.",
        )
    return Outcome(process.returncode, output, tidy(complaint))


def _collected(process: subprocess.Popen[str], deadline: float) -> tuple[str | None, str]:
    token = token_in_force()
    while True:
        token.check()
        try:
            return process.communicate(timeout=WAIT_SLICE)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                process.kill()
                process.communicate()
                return None, ""


def tidy(complaint: str) -> str:
    """A complaint of a qemu program on one line, without the program's name."""
    lines = [
        line.partition(": ")[2] if line.startswith("qemu-") else line
        for line in complaint.splitlines()
    ]
    return "; ".join(line for line in lines if line)[:2000]
