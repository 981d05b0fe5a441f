"""What a run of chaos does, step by step: a function of its seed and of nothing else.

A step is drawn without looking at what happened before, so the same seed gives the same steps on
every hypervisor that has the same parts, however the steps before it ended.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum


class Act(Enum):
    """What a step does."""

    CREATE = "create"
    START = "start"
    START_PAUSED = "start paused"
    STOP = "stop"
    FORCE_STOP = "force stop"
    PAUSE = "pause"
    RESUME = "resume"
    RESET = "reset"
    DELETE = "delete"
    #: The guest writes a block.
    WRITE = "write"
    #: All blocks that the guest wrote are read and compared.
    READ = "read"
    SNAPSHOT = "snapshot"
    REVERT = "revert"
    DROP = "delete snapshot"
    LIST = "list"
    #: Faults: the connection is cut, closed and opened anew, the instance crashes.
    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    CRASH = "crash"


FAULTS = frozenset({Act.DISCONNECT, Act.RECONNECT, Act.CRASH})

#: How often each is drawn, beside the others.
WEIGHTS: Mapping[Act, int] = {
    Act.CREATE: 12,
    Act.START: 12,
    Act.START_PAUSED: 3,
    Act.STOP: 6,
    Act.FORCE_STOP: 8,
    Act.PAUSE: 6,
    Act.RESUME: 6,
    Act.RESET: 3,
    Act.DELETE: 5,
    Act.WRITE: 14,
    Act.READ: 6,
    Act.SNAPSHOT: 7,
    Act.REVERT: 7,
    Act.DROP: 3,
    Act.LIST: 5,
    Act.DISCONNECT: 2,
    Act.RECONNECT: 2,
    Act.CRASH: 2,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step."""

    number: int
    act: Act
    #: Which instance.
    slot: int
    #: Chooses a block, a snapshot, what is written.
    dice: int


def steps(seed: int, acts: Collection[Act], slots: int) -> Iterator[Step]:
    """Without end."""
    order = [act for act in WEIGHTS if act in acts]
    weights = [WEIGHTS[act] for act in order]
    number = 0
    while True:
        dice = random.Random(f"{seed}/{number}")  # noqa: S311 - must be repeatable
        (act,) = dice.choices(order, weights)
        yield Step(number, act, dice.randrange(slots), dice.getrandbits(32))
        number += 1
