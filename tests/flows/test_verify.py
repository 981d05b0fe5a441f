from __future__ import annotations

from pathlib import Path

import pytest

import hypersdk
from hypersdk import Progress, Repository, VerifyLevel
from hypersdk.model.errors import Interrupted, KeyRequired
from tests.flows.examples import CHUNK, noise, repository_at
from tests.flows.test_restore import damage
from tests.repository.examples import back_up, content_of


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return repository_at(tmp_path)


@pytest.mark.parametrize("level", VerifyLevel)
def test_everything_or_one_point(level: VerifyLevel, repository: Repository) -> None:
    web = back_up(repository, "web", noise(3 * CHUNK))
    db = back_up(repository, "db", noise(3 * CHUNK, seed=1))
    whole = hypersdk.verify(repository, level=level)
    assert whole.ok
    assert (whole.points, whole.packs) == (2, 4)
    damage(repository, noise(3 * CHUNK, seed=1)[:CHUNK])
    assert hypersdk.verify(repository, web, level).ok
    for report in (hypersdk.verify(repository, db, level), hypersdk.verify(repository)):
        (found,) = report.damage
        assert {area.instance for area in found.affected} == {"db"}


def test_damage_is_a_report_and_no_error_and_is_mended_by_the_next_backup(
    repository: Repository,
) -> None:
    point = back_up(repository, "web", noise(3 * CHUNK))
    damage(repository, noise(3 * CHUNK)[:CHUNK])
    assert not hypersdk.verify(repository).ok
    back_up(repository, "web", noise(3 * CHUNK))
    assert hypersdk.verify(repository).ok
    assert content_of(repository, point) == noise(3 * CHUNK)


def test_progress(repository: Repository) -> None:
    for seed in range(3):
        back_up(repository, "web", noise(CHUNK, seed))
    events: list[Progress] = []
    report = hypersdk.verify(repository, reporter=events.append)
    assert [event.finished for event in events] == [False] * 5 + [True]
    last = events[-1]
    assert (last.task, last.done, last.total) == ("verify content", report.read, report.read)


def test_cancellation(repository: Repository) -> None:
    back_up(repository, "web", noise(CHUNK))
    token = hypersdk.CancelToken()
    token.cancel()
    with pytest.raises(Interrupted):
        hypersdk.verify(repository, cancel=token)


def test_without_a_key(repository: Repository, tmp_path: Path) -> None:
    back_up(repository, "web", noise(CHUNK))
    location = tmp_path / "repository"
    with hypersdk.open_repository(location, cache=tmp_path / "c") as locked:
        assert hypersdk.verify(locked, level=VerifyLevel.STORED).ok
        with pytest.raises(KeyRequired, match="reader key") as caught:
            hypersdk.verify(locked)
        assert "--level stored" in caught.value.hint
