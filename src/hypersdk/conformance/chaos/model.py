"""What must be true of the instances in a run of chaos, whatever was done to them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.operations import OUTCOMES, Gone, Operation

#: Blocks of a disk that are written to, and their size in bytes.
BLOCKS = 4
BLOCK = 4096
STRIDE = 1 << 16

#: Block → what was written last.
Content = dict[int, bytes]


class Outcome(Enum):
    """How a call ended."""

    DONE = "done"
    REFUSED = "refused"
    #: It failed in a way that leaves open whether it had an effect.
    UNCERTAIN = "uncertain"
    #: Nothing was called: it makes no sense here.
    PASSED_OVER = "passed over"


@dataclass
class Expected:
    """An instance as it must be."""

    name: str
    #: None: there is none.
    id: str | None = None
    state: InstanceState = InstanceState.STOPPED
    #: What the disk may hold: one, or several after a revert that failed halfway.
    contents: list[Content] = field(default_factory=lambda: [{}])
    snapshots: dict[str, list[Content]] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        return self.id is not None

    def forget(self) -> None:
        self.id, self.state = None, InstanceState.STOPPED
        self.contents, self.snapshots = [{}], {}

    def write(self, block: int, data: bytes) -> None:
        for content in self.contents:
            content[block] = data

    def keep(self, snapshot: str) -> None:
        self.snapshots[snapshot] = [dict(content) for content in self.contents]

    def bring_back(self, snapshot: str) -> None:
        self.contents = [dict(content) for content in self.snapshots[snapshot]]

    def maybe_bring_back(self, snapshot: str) -> None:
        self.contents = [*self.contents, *(dict(each) for each in self.snapshots[snapshot])]

    def compare(self, read: Mapping[int, bytes]) -> str:
        """What is wrong with the content of the disk; empty when nothing is."""
        fitting = [
            content
            for content in self.contents
            if all(read.get(block) == data for block, data in content.items())
        ]
        if fitting:
            self.contents = fitting[:1]
            return ""
        wrong = sorted(b for b, data in self.contents[0].items() if read.get(b) != data)
        return f"the disk does not hold what was written to {', '.join(map(str, wrong))}"

    def blocks(self) -> list[int]:
        """Those that have been written in any possible past."""
        return sorted({block for content in self.contents for block in content})


def pattern(dice: int) -> bytes:
    """What a guest writes; every eighth time zeroes, which must not get lost either."""
    if dice % 8 == 0:
        return bytes(BLOCK)
    return random.Random(dice).randbytes(BLOCK)  # noqa: S311 - must be repeatable


def after(operation: Operation, state: InstanceState) -> InstanceState | Gone | None:
    """The state that follows; None where the operation is refused."""
    return OUTCOMES[operation].get(state)


def strange(expected: Expected, seen: Instance, allowed: frozenset[InstanceState]) -> str:
    """What is wrong with an observed instance; empty when nothing is."""
    if expected.id is not None and seen.id != expected.id:
        return f"its id was {expected.id} and is {seen.id}"
    if seen.state not in allowed:
        words = " or ".join(sorted(state.value for state in allowed))
        return f"it must be {words} and is {seen.state.value}"
    return ""
