"""Remove restore points that no rule keeps, and then the chunks that nothing needs."""

from __future__ import annotations

from datetime import datetime, timedelta

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
) -> list[Decision]:
    """Decide about every point (of one instance when named) and remove what nothing keeps.

    Frees no space yet: ``collect_garbage`` does. Raises InvalidInput for a policy without rules.
    """
    points = repository.points(instance)
    decisions = decide(points, policy, now or repository.clock())
    if not dry_run:
        for decision in decisions:
            if not decision.keep:
                repository.remove(decision.point, "retention")
    return decisions


def collect_garbage(
    repository: Repository, *, grace: timedelta = GRACE, dry_run: bool = False
) -> GcReport:
    """Condemn packs that nothing needs, and delete those condemned at least ``grace`` ago.

    Without grace, packs are deleted at once unless a writer is at work.
    Raises Conflict while another collection runs, Damaged when a restore point cannot be read.
    """
    return repository.collect(grace, dry_run=dry_run)
