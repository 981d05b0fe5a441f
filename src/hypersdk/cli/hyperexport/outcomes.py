"""How the export of each instance ended, and those who want to know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hypersdk import HyperSDKError, Interrupted, PartialFailure
from hypersdk.cli.hyperexport.exits import AllFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is about to be done."""

    names: tuple[str, ...]
    #: URL of the hypervisor, without secrets.
    hypervisor: str
    format: str
    #: Folder, repository or URL that it goes to.
    place: str

    @property
    def title(self) -> str:
        """For a message."""
        return self.names[0] if len(self.names) == 1 else f"{len(self.names)} instances"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One instance, exported or not."""

    name: str
    #: Folder, repository or URL that it is in now.
    place: str
    #: Bytes.
    size: int = 0
    files: int = 0
    seconds: float = 0.0
    compressed: bool = False
    encrypted: bool = False
    verified: bool = False
    uploaded: str = ""
    error: HyperSDKError | None = None

    @property
    def interrupted(self) -> bool:
        """By a person, who knows."""
        return isinstance(self.error, Interrupted)


class Listener(Protocol):
    """Somebody who wants to know. A failure to tell is a warning: what was done is done."""

    def began(self, run: Run) -> None: ...

    def settled(self, run: Run, outcome: Outcome) -> None:
        """May be called from worker threads, one at a time."""
        ...

    def ended(self, run: Run, outcomes: Sequence[Outcome]) -> None: ...


class Journal:
    """Tells all listeners."""

    def __init__(self, run: Run, listeners: Iterable[Listener]) -> None:
        self._run = run
        self._listeners = tuple(listeners)
        self._outcomes: list[Outcome] = []
        for listener in self._listeners:
            listener.began(run)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(self._outcomes)

    def settled(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        for listener in self._listeners:
            listener.settled(self._run, outcome)

    def ended(self) -> None:
        """Tell that nothing more comes, and raise what failed.

        A single instance that fails is the failure; of several, each is named.
        """
        self.tell_end()
        raise_failures(self._outcomes)

    def tell_end(self) -> None:
        """Tell that nothing more comes."""
        for listener in self._listeners:
            listener.ended(self._run, self._outcomes)


def raise_failures(outcomes: Sequence[Outcome]) -> None:
    """Raises the error of a single instance, else PartialFailure, AllFailed or Interrupted."""
    failures = {each.name: each.error for each in outcomes if each.error is not None}
    if not failures:
        return
    if len(outcomes) == 1:
        raise next(iter(failures.values()))
    if any(each.interrupted for each in outcomes):
        done = sum(each.error is None for each in outcomes)
        raise Interrupted(
            f"interrupted when {done} of {len(outcomes)} exports were complete",
            hint="Run it again with --resume to go on.",
        )
    kind = AllFailed if len(failures) == len(outcomes) else PartialFailure
    raise kind(f"{len(failures)} of {len(outcomes)} exports failed", failures)
