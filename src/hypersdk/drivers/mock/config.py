"""How a mock hypervisor behaves: its room, how long calls take, which of them fail.

Where it comes from is in `configfile`, the presets are in `presets`. Sizes are bytes, times are
seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase

from hypersdk.model.instances import InstanceState
from hypersdk.model.units import GIB

#: Seconds that a hang lasts when its rule does not say: longer than any caller waits.
FOREVER = 24 * 3600.0
#: Seconds that a stubborn hang lasts at most, so that no thread is lost for good.
STUBBORN_MAXIMUM = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Room on the hypervisor. What is beyond raises LimitExceeded."""

    instances: int = 1000
    #: Of one instance.
    vcpus: int = 64
    memory: int = 128 * GIB
    #: Of all instances that are not stopped; None: as much as all may have.
    total_memory: int | None = None
    #: Virtual size of all disks; None: what the file system has.
    total_disk: int | None = None


class Kind(Enum):
    """What goes wrong with a call."""

    #: It raises, nothing was done.
    BEFORE_EFFECT = "before_effect"
    #: It is done, and raises all the same.
    AFTER_EFFECT = "after_effect"
    #: It is done, and the connection is lost before the answer arrives.
    LOST_REPLY = "lost_reply"
    #: It takes ``seconds`` longer.
    SLOW = "slow"
    #: Nothing is done and nothing comes back for ``seconds``; obeys cancellation.
    HANG = "hang"
    #: A hang that ignores cancellation, as native libraries do.
    STUBBORN = "stubborn"
    #: It is done and answered; behind the caller's back the instance then gets another ``state``.
    STATE_DRIFT = "state_drift"
    #: The hypervisor dies with all that runs, and is back after ``seconds`` or ``calls``.
    CRASH = "crash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of a failure plan: which calls, and what happens to them.

    With neither ``nth`` nor ``rate`` it is every call that matches.
    """

    #: ``lifecycle.start``; a pattern as of file names: ``snapshots.*``, ``*``.
    operation: str = "*"
    #: Pattern for the name of the instance; calls about none match ``*`` alone.
    instance: str = "*"
    kind: Kind = Kind.BEFORE_EFFECT
    #: Only the nth call that matches, counted from 1 by each connection.
    nth: int | None = None
    #: Share of the calls, 0 to 1.
    rate: float | None = None
    #: Happens that often at most, per connection; 0: no end.
    times: int = 0
    #: Class of the error, of `hypersdk.model.errors`; empty: what fits the kind.
    error: str = ""
    message: str = ""
    #: Of slow, hang, stubborn, crash; 0: the kind's own.
    seconds: float = 0.0
    #: Calls that find a crashed hypervisor down; 0: time alone counts.
    calls: int = 0
    #: After state drift and crash.
    state: InstanceState = InstanceState.CRASHED

    def matches(self, operation: str, instance: str) -> bool:
        return fnmatchcase(operation, self.operation) and fnmatchcase(instance, self.instance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of it. Without anything given nothing is slow and nothing fails."""

    #: Preset that the rest was laid over; empty: none.
    profile: str = ""
    #: What is random is the same for the same seed.
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    #: Operation, or pattern of operations → seconds. The longest pattern that matches counts.
    latency: Mapping[str, float] = field(default_factory=dict)
    #: Share by which latencies vary, up and down.
    jitter: float = 0.0
    failures: tuple[Rule, ...] = ()
    #: Note every call in ``hypervisor.calls`` of the folder.
    journal: bool = False
    #: An agent answers inside the guests.
    guest_agent: bool = False
    #: Guests power down when they are asked to.
    obeys_stop: bool = True
    #: Parts that this hypervisor lacks.
    without: frozenset[str] = frozenset()
