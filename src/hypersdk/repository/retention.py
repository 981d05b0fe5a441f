"""Which restore points to keep: a pure function of points, policy and time.

Points are judged by the storage's time of creation, not by the time a writer claims. Buckets are
UTC hours, days, ISO weeks, months and years; the newest point of a bucket stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import groupby

from hypersdk.model.errors import InvalidInput
from hypersdk.model.points import Decision, RestorePoint, RetentionPolicy

_RULES: tuple[tuple[str, str], ...] = (
    ("hourly", "%Y-%m-%d %H:00"),
    ("daily", "%Y-%m-%d"),
    ("weekly", "%G-W%V"),
    ("monthly", "%Y-%m"),
    ("yearly", "%Y"),
)


def decide(
    points: Iterable[RestorePoint], policy: RetentionPolicy, now: datetime
) -> list[Decision]:
    """A decision for every point, each instance on its own, newest first.

    Raises InvalidInput for a policy without any rule: it would remove everything.
    """
    _require_rules(policy)

    def by_instance(point: RestorePoint) -> str:
        return point.instance

    decisions: list[Decision] = []
    for _, group in groupby(sorted(points, key=by_instance), key=by_instance):
        decisions += _decide_instance(list(group), policy, now)
    return decisions


def _require_rules(policy: RetentionPolicy) -> None:
    counts = [policy.last, *(getattr(policy, rule) for rule, _ in _RULES)]
    within = policy.within or timedelta(0)
    if min(counts) < 0 or within < timedelta(0):
        raise InvalidInput(
            "a retention rule is negative", hint="Leave out the rules that are not to count."
        )
    if not any(counts) and not within:
        raise InvalidInput(
            "no retention rule was given; that would remove every restore point",
            hint="Say what to keep, for example --keep-daily 7 --keep-weekly 4.",
        )


def _decide_instance(
    points: list[RestorePoint], policy: RetentionPolicy, now: datetime
) -> list[Decision]:
    newest_first = sorted(points, key=lambda point: (point.stored_at, point.id), reverse=True)
    reasons: dict[str, list[str]] = {point.id: [] for point in newest_first}
    for point in newest_first[: policy.last]:
        reasons[point.id].append("last")
    for rule, pattern in _RULES:
        _keep_buckets(newest_first, reasons, rule, pattern, getattr(policy, rule))
    for point in newest_first:
        if policy.within is not None and now - point.stored_at <= policy.within:
            reasons[point.id].append("within")
        if point.pinned:
            reasons[point.id].append("pinned")
        if point.locked_until is not None and now < point.locked_until:
            reasons[point.id].append(f"locked until {point.locked_until:%Y-%m-%d %H:%M}")
    return [
        Decision(point, bool(kept), tuple(kept) or ("no rule keeps it",))
        for point, kept in ((point, reasons[point.id]) for point in newest_first)
    ]


def _keep_buckets(
    newest_first: list[RestorePoint],
    reasons: dict[str, list[str]],
    rule: str,
    pattern: str,
    count: int,
) -> None:
    bucket: Callable[[RestorePoint], str] = lambda point: point.stored_at.strftime(pattern)  # noqa: E731
    for name, group in groupby(newest_first, key=bucket):
        if count <= 0:
            return
        reasons[next(group).id].append(f"{rule} {name}")
        count -= 1
