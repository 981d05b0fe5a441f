"""Frozen filesystems: while the file ``frozen`` is there, what the guest writes waits.

Its content is the process that froze them for a moment and thaws them again; empty when somebody
froze them through the agent and will thaw them. A moment whose process was killed ends when the
next one looks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypersdk.datapath.cancel import token_in_force
from hypersdk.model.errors import OperationTimeout

#: Seconds that a write waits for a thaw, and between its looks.
THAW_SECONDS, _LOOK_SECONDS = 30.0, 0.01


def freeze(folder: Path, owner: str = "") -> bool:
    """Whether they were not frozen before."""
    try:
        with (folder / "frozen").open("x") as file:
            file.write(owner)
    except FileExistsError:
        return False
    return True


def thaw(folder: Path) -> bool:
    """Whether they were frozen."""
    try:
        (folder / "frozen").unlink()
    except FileNotFoundError:
        return False
    return True


def abandoned(folder: Path) -> bool:
    """Whether the process that froze them for a moment is dead."""
    try:
        owner = (folder / "frozen").read_text()
    except FileNotFoundError:
        return False
    return bool(owner) and owner != _process(int(owner.partition(" ")[0]))


@contextmanager
def frozen_for_a_moment(folder: Path) -> Iterator[bool]:
    """Thawed again whatever happens, unless they were frozen before."""
    mine = freeze(folder, _process(os.getpid()))
    try:
        yield True
    finally:
        if mine:
            thaw(folder)


def wait_until_thawed(folder: Path, what: str, seconds: float = THAW_SECONDS) -> None:
    """What a write of the guest does first. Raises OperationTimeout, Interrupted."""
    deadline = time.monotonic() + seconds
    while os.path.exists(f"{folder}/frozen"):
        if abandoned(folder):
            thaw(folder)
        elif time.monotonic() > deadline:
            raise OperationTimeout(
                f"cannot write to {what}: its filesystems are frozen", hint="Thaw them."
            )
        token_in_force().wait(_LOOK_SECONDS)


def _process(pid: int) -> str:
    """A process and when it began: process ids are used again."""
    try:
        content = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return f"{pid} {content.rpartition(')')[2].split()[19]}"
