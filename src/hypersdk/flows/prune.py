"""Remove restore points that no rule keeps, and then the chunks that nothing needs."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypersdk.datapath.cancel import CancelToken, token_in_force
from hypersdk.model.points import Decision, GcReport, RetentionPolicy
from hypersdk.repository.repository import Repository
from hypersdk.repository.retention import decide

#: How long condemned packs wait before they are deleted.
GRACE = timedelta(hours=24)


def prune(
    repository: Repository,
    policy: RetentionPolicy,
    *,
    instance: str | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
    cancel: CancelToken | None = None,
) -> list[Decision]:
    """Decide about every point (of one instance when named) and remove what nothing keeps.

    Frees no space yet: ``collect_garbage`` does. Raises InvalidInput for a policy without rules,
    Interrupted between two points.
    """
    points = repository.points(instance)
    decisions = decide(points, policy, now or repository.clock())
    if not dry_run:
        for decision in decisions:
            if not decision.keep:
                (cancel or token_in_force()).check()
                repository.remove(decision.point, "retention")
    return decisions


def collect_garbage(
    repository: Repository,
    *,
    grace: timedelta = GRACE,
    dry_run: bool = False,
    owner: str = "",
    cancel: CancelToken | None = None,
) -> GcReport:
    """Condemn packs that nothing needs, and delete those condemned at least ``grace`` ago.

    Without grace, packs are deleted at once unless a writer is at work. ``owner``: a word without
    ``-`` for whose collection it is; one of the same owner that was killed is not waited for.
    Raises Conflict while another collection runs, Damaged when a restore point cannot be read,
    Interrupted.
    """
    with (cancel or token_in_force()).scope():
        return repository.collect(grace, dry_run=dry_run, owner=owner)
