"""The port between the engine of jobs and what jobs do: a kind, and one run of a job.

A kind's work is a plain function of ``(request, run)``. It may be called again after a crash, in
another process, with the same request: what must not happen twice stands in a step, and what a
step does must be safe to begin again, since a crash may come before its result is stored. Copying
is: chunks already stored are found by their id, exports go on from their record. Making something
(a snapshot, an instance, a restore point) is, when it is marked with the job's id and looked for
first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar, runtime_checkable

from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import InvalidInput
from hypersdk.model.jobs import Job, NewJob
from hypersdk.model.progress import Reporter

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a job from its request alone."""

    #: For people: ``backup of web-1``.
    name: str
    #: See `model.jobs.NewJob.resources`.
    resources: tuple[str, ...] = ()
    #: Of the site that can do it.
    queue: str = "default"
    #: Requests of the same key at the same time are the same job; empty: they are not.
    dedup: str = ""
    #: Instances it makes, for quotas.
    makes: int = 0
    #: Repository in which it keeps more than before, for quotas; also where the jobs of a batch do.
    stores: str = ""
    #: All hypervisors and repositories that it names, as ``resources`` write them, for whoever
    #: decides about access; also what it does not use itself: the jobs of a batch do. What stands
    #: there as a path or URL only an administrator may name.
    uses: tuple[str, ...] = ()


class Run(Protocol):
    """One run of a job, handed to its kind. Safe in threads."""

    #: As it was when the run began.
    job: Job
    #: Raised by a cancel, a pause, a drain, or when this worker was taken for dead. Work stops
    #: within two seconds, removes what is temporary and lets Interrupted pass.
    cancel: CancelToken
    #: For flows: their progress becomes the job's.
    reporter: Reporter

    def phase(self, name: str, subject: str = "") -> None:
        """Say what is being done: one word, and on what."""
        ...

    def log(self, message: str, *, level: str = "info", **details: object) -> None:
        """A line of the job's own log, redacted."""
        ...

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do it, or give what it gave when this run did it before a crash. The result is JSON."""
        ...

    def bandwidth(self) -> int | None:
        """Bytes per second that this job may read now, its share of the budgets; None: no bound.
        It changes while jobs begin and end: ask again every second."""
        ...

    def children(self, new: Sequence[NewJob], *, stop_on_error: bool = False) -> tuple[Job, ...]:
        """Submit jobs, once per run, and wait until all of them ended. A cancel cancels them.

        Their ids are given, so that a later run of the same job finds them; one that failed or was
        cancelled by then is tried again. ``stop_on_error``: the first that fails cancels the rest.
        """
        ...


class Kind(Protocol):
    """What one kind of job is. Without state; one object serves all jobs of a process."""

    #: ``backup``; what `NewJob.kind` names.
    name: str
    #: One sentence for people.
    summary: str
    #: True: it only waits for others, and takes no slot of its worker.
    waits: bool

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """Check a request, before it is stored. Raises InvalidInput naming the field, and
        NotFound for a hypervisor or repository that is not known."""
        ...

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """Do it; gives the result. Raises what the job fails with."""
        ...


@runtime_checkable
class Placed(Protocol):
    """A kind of which some resources are known only to the hypervisor."""

    def places(self, request: Mapping[str, Any]) -> tuple[str, ...]:
        """``host:…`` and ``datastore:…`` of its instance, for budgets of these. Asks the
        hypervisor, so it is called by a worker, before it begins the job. Raises what asking
        raises; then the job may begin all the same, and fail by itself."""
        ...


@dataclass(frozen=True, slots=True)
class Kinds:
    """Kinds by name."""

    known: Mapping[str, Kind] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Kind:
        """Raises InvalidInput with the nearest name."""
        if name in self.known:
            return self.known[name]
        near = get_close_matches(name, self.known, n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise InvalidInput(
            f"there are no jobs of kind '{name}'",
            hint=f"{meant}Kinds are {', '.join(sorted(self.known))}.",
        )

    def resources(self, kind: str, plan: Plan, tenant: str) -> tuple[str, ...]:
        """What a job holds while it runs: what its plan says, and room in its tenant's quota. A
        kind that waits for its children takes none of that: it would keep it from them."""
        own = (f"tenant:{tenant}",) if tenant and not self[kind].waits else ()
        return tuple(dict.fromkeys((*plan.resources, *own)))
