from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.model.errors import InvalidInput
from hypersdk.model.instances import Consistency
from hypersdk.model.points import RestorePoint, RetentionPolicy
from hypersdk.repository.retention import decide

NOW = datetime(2026, 12, 31, 12, 0, tzinfo=UTC)


def point(stored_at: datetime, identity: str = "", instance: str = "web") -> RestorePoint:
    return RestorePoint(
        id=identity or f"{stored_at:%Y%m%d%H%M%S%f}",
        instance=instance,
        time=stored_at,
        stored_at=stored_at,
        key="",
        disks=(),
        consistency=Consistency.CRASH,
    )


def at(*texts: str) -> list[RestorePoint]:
    """A point at each moment, UTC."""
    return [point(datetime.fromisoformat(text).replace(tzinfo=UTC)) for text in texts]


def kept(points: list[RestorePoint], policy: RetentionPolicy, now: datetime = NOW) -> list[str]:
    """``MM-DD HH:MM`` of what is kept, oldest first."""
    found = [d.point.stored_at for d in decide(points, policy, now) if d.keep]
    return [f"{moment:%m-%d %H:%M}" for moment in sorted(found)]


def test_the_newest_of_a_bucket_stands_for_it() -> None:
    points = at("2026-12-30T01:00", "2026-12-30T23:59", "2026-12-31T00:00", "2026-12-31T03:00")
    assert kept(points, RetentionPolicy(daily=2)) == ["12-30 23:59", "12-31 03:00"]
    assert kept(points, RetentionPolicy(daily=1)) == ["12-31 03:00"]
    assert kept(points, RetentionPolicy(hourly=3)) == ["12-30 23:59", "12-31 00:00", "12-31 03:00"]
    assert kept(points, RetentionPolicy(last=3)) == ["12-30 23:59", "12-31 00:00", "12-31 03:00"]


def test_buckets_without_points_do_not_count() -> None:
    points = at("2026-01-01T00:00", "2026-06-01T00:00", "2026-12-01T00:00")
    assert len(kept(points, RetentionPolicy(daily=3))) == 3
    assert kept(points, RetentionPolicy(monthly=2)) == ["06-01 00:00", "12-01 00:00"]


def test_weeks_are_iso_weeks_also_at_the_end_of_a_year() -> None:
    # 2027-01-01 is a Friday of week 53 of 2026; 2027-01-04 begins week 1 of 2027.
    points = at("2026-12-27T12:00", "2026-12-28T12:00", "2027-01-01T12:00", "2027-01-04T12:00")
    now = datetime(2027, 1, 5, tzinfo=UTC)
    reasons = {d.point.id: d.reasons for d in decide(points, RetentionPolicy(weekly=9), now)}
    assert reasons[points[2].id] == ("weekly 2026-W53",)
    assert reasons[points[3].id] == ("weekly 2027-W01",)
    assert reasons[points[1].id] == ("no rule keeps it",)
    # 2024-12-30 is in week 1 of 2025, though in the month and year before.
    (decision,) = decide(at("2024-12-30T00:00"), RetentionPolicy(weekly=1, yearly=1), now)
    assert decision.reasons == ("weekly 2025-W01", "yearly 2024")


def test_buckets_are_utc_whatever_the_local_clocks_did() -> None:
    # Central Europe set its clocks back at 01:00 UTC: local 02:30 came twice, UTC hours did not.
    points = at("2026-10-25T00:30", "2026-10-25T01:30")
    assert len(kept(points, RetentionPolicy(hourly=9))) == 2


def test_every_reason_is_given() -> None:
    (decision,) = decide(
        at("2026-12-31T11:00"),
        RetentionPolicy(
            last=1, hourly=1, daily=1, weekly=1, monthly=1, yearly=1, within=timedelta(hours=2)
        ),
        NOW,
    )
    assert decision.reasons == (
        "last",
        "hourly 2026-12-31 11:00",
        "daily 2026-12-31",
        "weekly 2026-W53",
        "monthly 2026-12",
        "yearly 2026",
        "within",
    )


def test_within_includes_its_end() -> None:
    points = at("2026-12-31T10:00", "2026-12-31T09:59", "2026-12-31T13:00")
    policy = RetentionPolicy(within=timedelta(hours=2))
    assert kept(points, policy) == ["12-31 10:00", "12-31 13:00"]  # also one of the future


def test_pinned_and_locked_points_stay() -> None:
    old, older, oldest, gone = at("2020-04-01", "2020-03-01", "2020-02-01", "2020-01-01")
    points = [
        replace(old, pinned=True),
        replace(older, locked_until=NOW + timedelta(seconds=1)),
        replace(oldest, locked_until=NOW),
        gone,
        *at("2026-12-31T00:00"),
    ]
    decisions = decide(points, RetentionPolicy(last=1), NOW)
    assert [(d.keep, d.reasons) for d in decisions] == [
        (True, ("last",)),
        (True, ("pinned",)),
        (True, ("locked until 2026-12-31 12:00",)),
        (False, ("no rule keeps it",)),
        (False, ("no rule keeps it",)),
    ]


def test_each_instance_is_judged_alone() -> None:
    busy = [point(NOW - timedelta(hours=hours), instance="busy") for hours in range(5)]
    calm = [point(NOW - timedelta(days=300), instance="calm")]
    decisions = decide([*busy, *calm], RetentionPolicy(last=1), NOW)
    assert [d.point.instance for d in decisions if d.keep] == ["busy", "calm"]


def test_the_time_of_the_storage_counts_not_that_of_the_writer() -> None:
    """A writer whose clock is wrong must not push the good points out."""
    right, wrong = at("2026-12-31T00:00", "2026-12-30T00:00")
    ahead = replace(wrong, time=datetime(2099, 1, 1, tzinfo=UTC))
    decisions = decide([right, ahead], RetentionPolicy(last=1), NOW)
    assert [d.point.id for d in decisions if d.keep] == [right.id]


@pytest.mark.parametrize(
    "policy",
    [
        RetentionPolicy(),
        RetentionPolicy(within=timedelta(0)),
        RetentionPolicy(last=-1),
        RetentionPolicy(last=5, daily=-1),
        RetentionPolicy(last=1, within=timedelta(days=-1)),
    ],
)
def test_a_policy_that_says_nothing_or_nonsense_is_refused(policy: RetentionPolicy) -> None:
    with pytest.raises(InvalidInput) as caught:
        decide(at("2026-12-31T00:00"), policy, NOW)
    assert caught.value.hint


def test_no_points() -> None:
    assert decide([], RetentionPolicy(last=1), NOW) == []


moments = st.timedeltas(timedelta(0), timedelta(days=3 * 366)).map(lambda age: NOW - age)
points_ = st.lists(st.builds(point, moments), max_size=40, unique_by=lambda p: p.id)
counts = st.integers(0, 5)
policies = st.builds(
    RetentionPolicy,
    last=counts,
    hourly=counts,
    daily=counts,
    weekly=counts,
    monthly=counts,
    yearly=counts,
    within=st.none() | st.timedeltas(timedelta(minutes=1), timedelta(days=400)),
).filter(lambda policy: policy != RetentionPolicy())


@given(points_, policies, st.randoms(use_true_random=False))
def test_the_order_of_the_points_does_not_matter(
    points: list[RestorePoint], policy: RetentionPolicy, dice: Random
) -> None:
    mixed = list(points)
    dice.shuffle(mixed)
    assert decide(mixed, policy, NOW) == decide(points, policy, NOW)


@given(points_, policies)
def test_each_point_is_decided_once_newest_first(
    points: list[RestorePoint], policy: RetentionPolicy
) -> None:
    times = [decision.point.stored_at for decision in decide(points, policy, NOW)]
    assert times == sorted((p.stored_at for p in points), reverse=True)


@given(points_, policies)
def test_what_is_removed_does_not_change_what_is_kept(
    points: list[RestorePoint], policy: RetentionPolicy
) -> None:
    """Pruning twice removes nothing more."""
    survivors = [d.point for d in decide(points, policy, NOW) if d.keep]
    assert all(d.keep for d in decide(survivors, policy, NOW))


@given(points_, policies)
def test_a_rule_keeps_as_many_buckets_as_it_says_the_newest_ones(
    points: list[RestorePoint], policy: RetentionPolicy
) -> None:
    decisions = decide(points, policy, NOW)
    for rule, buckets in (
        ("daily", {p.stored_at.strftime("%Y-%m-%d") for p in points}),
        ("weekly", {"{}-W{:02}".format(*p.stored_at.isocalendar()) for p in points}),
        ("yearly", {str(p.stored_at.year) for p in points}),
    ):
        named = {
            reason.removeprefix(f"{rule} ")
            for decision in decisions
            for reason in decision.reasons
            if reason.startswith(f"{rule} ")
        }
        assert named == set(sorted(buckets, reverse=True)[: getattr(policy, rule)])


@given(points_, policies)
def test_a_stricter_policy_keeps_no_more(
    points: list[RestorePoint], policy: RetentionPolicy
) -> None:
    more = replace(policy, last=policy.last + 1, daily=policy.daily + 1)
    few = {d.point.id for d in decide(points, policy, NOW) if d.keep}
    many = {d.point.id for d in decide(points, more, NOW) if d.keep}
    assert few <= many
