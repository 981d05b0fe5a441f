from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import hypersdk
from hypersdk import Repository, RestorePoint, RetentionPolicy
from hypersdk.model.errors import Conflict, InvalidInput
from hypersdk.repository.layout import PACKS
from hypersdk.repository.leases import WRITE, Lease
from hypersdk.repository.store.memory import MemoryStore
from tests.repository.examples import (
    CHUNK,
    Clock,
    back_up,
    chunks,
    content_of,
    keys_below,
    new_repository,
)

NOW = timedelta(0)


@pytest.fixture
def clock() -> Clock:
    """Of the storage and of every client."""
    return Clock()


@pytest.fixture
def repository(tmp_path: Path, clock: Clock) -> Repository:
    return new_repository(tmp_path, MemoryStore(clock=clock), clock=clock)


@pytest.fixture
def daily(repository: Repository, clock: Clock) -> Callable[[int], list[RestorePoint]]:
    """Back up ``web`` and ``db`` once a day; every day one chunk is new."""

    def run(days: int) -> list[RestorePoint]:
        points = []
        for day in range(days):
            points += [
                back_up(repository, "web", chunks(1, 100 + day)),
                back_up(repository, "db", chunks(2, 200 + day)),
            ]
            clock.pass_(days=1)
        return points

    return run


def test_prune_removes_what_nothing_keeps(
    repository: Repository, daily: Callable[[int], list[RestorePoint]]
) -> None:
    points = daily(4)
    decisions = hypersdk.prune(repository, RetentionPolicy(daily=2))
    assert len(decisions) == 8
    assert {d.point.id for d in decisions if d.keep} == {point.id for point in points[4:]}
    assert repository.points() == points[4:]
    assert hypersdk.verify(repository).ok


def test_a_dry_run_removes_nothing(
    repository: Repository, daily: Callable[[int], list[RestorePoint]]
) -> None:
    points = daily(3)
    decisions = hypersdk.prune(repository, RetentionPolicy(last=1), dry_run=True)
    assert [d.keep for d in decisions] == [True, False, False] * 2
    assert repository.points() == points
    assert hypersdk.prune(repository, RetentionPolicy(last=1)) == decisions


def test_one_instance_only(
    repository: Repository, daily: Callable[[int], list[RestorePoint]]
) -> None:
    daily(3)
    decisions = hypersdk.prune(repository, RetentionPolicy(last=1), instance="web")
    assert {d.point.instance for d in decisions} == {"web"}
    assert [point.instance for point in repository.points()].count("db") == 3
    assert len(repository.points("web")) == 1
    assert hypersdk.prune(repository, RetentionPolicy(last=1), instance="none") == []


def test_a_policy_without_rules_removes_nothing(
    repository: Repository, daily: Callable[[int], list[RestorePoint]]
) -> None:
    points = daily(2)
    with pytest.raises(InvalidInput, match="no retention rule"):
        hypersdk.prune(repository, RetentionPolicy())
    assert repository.points() == points


def test_within_goes_by_the_clock_or_by_the_given_time(
    repository: Repository, clock: Clock, daily: Callable[[int], list[RestorePoint]]
) -> None:
    daily(4)
    policy = RetentionPolicy(within=timedelta(days=2))
    early = clock.now - timedelta(days=2)
    assert all(d.keep for d in hypersdk.prune(repository, policy, dry_run=True, now=early))
    decisions = hypersdk.prune(repository, policy, instance="web")
    assert [d.keep for d in decisions] == [True, True, False, False]


def test_locked_points_stay_until_their_time(repository: Repository, clock: Clock) -> None:
    until = clock.now + timedelta(days=5)
    locked = back_up(repository, "web", chunks(1), locked_until=until)
    pinned = back_up(repository, "web", chunks(1), pinned=True)
    clock.pass_(days=1)
    last = back_up(repository, "web", chunks(1))
    hypersdk.prune(repository, RetentionPolicy(last=1))
    assert repository.points() == [locked, pinned, last]
    clock.pass_(days=4)
    hypersdk.prune(repository, RetentionPolicy(last=1))
    assert repository.points() == [pinned, last]


def test_a_writer_whose_clock_is_wrong_pushes_nothing_out(
    tmp_path: Path, clock: Clock, repository: Repository
) -> None:
    good = back_up(repository, "web", chunks(1))
    clock.pass_(days=1)
    ahead = Clock(clock.now + timedelta(days=4000))
    with Repository.open(repository.store, cache=tmp_path / "other", clock=ahead) as other:
        wrong = back_up(other, "web", chunks(2))
    clock.pass_(days=1)
    newest = back_up(repository, "web", chunks(3))
    hypersdk.prune(repository, RetentionPolicy(daily=2))
    assert {point.id for point in repository.points()} == {wrong.id, newest.id}
    assert good.id not in {point.id for point in repository.points()}


def test_space_comes_back_after_the_grace_time(
    repository: Repository, clock: Clock, daily: Callable[[int], list[RestorePoint]]
) -> None:
    points = daily(4)
    hypersdk.prune(repository, RetentionPolicy(last=1))
    before = keys_below(repository.store, PACKS)
    first = hypersdk.collect_garbage(repository)
    assert first.condemned_packs > 0
    assert first.swept_packs == 0
    assert set(before) <= set(keys_below(repository.store, PACKS))
    clock.pass_(hours=23)
    waiting = hypersdk.collect_garbage(repository)
    assert waiting.swept_packs == 0
    assert waiting.waiting_packs == first.condemned_packs
    assert "grace time" in waiting.waiting_for
    clock.pass_(hours=1)
    second = hypersdk.collect_garbage(repository)
    assert second.swept_packs == first.condemned_packs
    stored = repository.statistics().stored
    # Four chunks are needed; packs of which half is needed are left as they are.
    assert stored < 7 * CHUNK
    for point, content in zip(points[6:], (chunks(1, 103), chunks(2, 203)), strict=True):
        assert content_of(repository, point) == content
    assert hypersdk.verify(repository).ok


def test_a_dry_run_of_the_collection_writes_nothing(
    repository: Repository, daily: Callable[[int], list[RestorePoint]]
) -> None:
    daily(3)
    hypersdk.prune(repository, RetentionPolicy(last=1))
    before = keys_below(repository.store, "")
    preview = hypersdk.collect_garbage(repository, dry_run=True)
    assert keys_below(repository.store, "") == before
    report = hypersdk.collect_garbage(repository)
    assert preview.condemned_packs == report.condemned_packs
    assert preview.condemned_bytes == report.condemned_bytes
    assert preview.repacked_bytes == report.repacked_bytes


def test_a_running_backup_keeps_packs_from_being_deleted(
    repository: Repository, daily: Callable[[int], list[RestorePoint]]
) -> None:
    daily(2)
    hypersdk.prune(repository, RetentionPolicy(last=1))
    writer = Lease(repository.store, repository.vault.context, WRITE)
    writer.renew()
    report = hypersdk.collect_garbage(repository, grace=NOW)
    assert report.swept_packs == 0
    assert "writer" in report.waiting_for
    writer.release()
    assert hypersdk.collect_garbage(repository, grace=NOW).swept_packs > 0


def test_all_points_gone_means_all_packs_gone(repository: Repository) -> None:
    for seed in range(3):
        repository.remove(back_up(repository, "web", chunks(seed, None)), "retention")
    hypersdk.collect_garbage(repository, grace=NOW)
    assert keys_below(repository.store, PACKS) == []
    assert repository.statistics().chunks == 0
    point = back_up(repository, "web", chunks(1))
    assert content_of(repository, point) == chunks(1)


def test_pinned_points_are_not_removed_by_hand(repository: Repository) -> None:
    point = back_up(repository, "web", chunks(1), pinned=True)
    with pytest.raises(Conflict):
        repository.remove(point, "by hand")
