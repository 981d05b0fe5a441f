"""How often a worker looks at what; tests are quicker than the defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """All in seconds."""

    #: Between two looks for jobs to begin.
    dispatch: float = 0.2
    #: Between two looks for wishes (cancel, pause). A cancel is obeyed two seconds after this.
    wishes: float = 0.25
    #: Between two writes of progress and log lines.
    flush: float = 0.5
    #: Between two looks whether this worker still holds its lock.
    watch: float = 1.0
    #: Without an answer about its lock for so long, a worker takes itself for dead. With the two
    #: seconds that work needs to stop this is below `takeover`.
    lost: float = 15.0
    #: Between two looks at other workers' locks.
    probe: float = 4.0
    #: A worker whose lock is free for so long is dead: others take its jobs over.
    takeover: float = 20.0
    #: Between two notes that this worker lives, for people.
    heartbeat: float = 5.0
    #: A worker that starts waits so long for the lock of its predecessor.
    patience: float = 10.0
    #: Work that was cancelled by a drain is waited for so long.
    grace: float = 10.0
    #: Age of what is known of other jobs' shares of bandwidth.
    shares: float = 1.0
    #: Between two looks whether children ended.
    children: float = 0.5
    #: Between two tries of a write that must not be lost, while the database does not answer.
    persist: float = 1.0
    #: Between two looks of the library for runs to continue.
    resume: float = 0.5
    #: Between two looks at schedules.
    schedules: float = 1.0


#: Of a daemon.
USUAL = Pace()
