"""The main job in every kind of place, and copies between places."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import hypersdk
from hypersdk import Key, KeyRequired, Protect, Repository, RetentionPolicy, VerifyLevel

MIB = 1 << 20


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(random.Random(1).randbytes(32))
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """10 MiB and a half chunk: data, a hole, zeroes."""
    path = tmp_path / "disk.raw"
    dice = random.Random(2)
    path.write_bytes(dice.randbytes(3 * MIB) + bytes(4 * MIB) + dice.randbytes(3 * MIB + MIB // 2))
    return path


@pytest.fixture(params=["local", "s3", "memory"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "s3":
        yield request.getfixturevalue("s3_location")
    elif request.param == "memory":
        yield f"memory:{tmp_path}"
    else:
        yield str(tmp_path / "repository")


def restored(repository: Repository, reference: str, target: Path) -> bytes:
    hypersdk.restore(repository, repository.find(reference), target)
    content = target.read_bytes()
    target.unlink()
    return content


def test_main_job(location: str, image: Path, key_file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    hypersdk.init_repository(location, protect=Protect.key_file(key_file), cache=cache).close()
    with hypersdk.open_repository(location, key=Key.file(key_file), cache=cache) as repository:
        first = hypersdk.backup_image(repository, image, "web / größe")
        with image.open("r+b") as file:
            file.seek(MIB)
            file.write(bytes(MIB))
        second = hypersdk.backup_image(repository, image, "web / größe")
        assert first.disks[0].statistics.stored > 6 * MIB
        assert second.disks[0].statistics.changed == MIB
        assert second.disks[0].statistics.stored == 0
        assert second.previous == first.digest
        assert hypersdk.verify(repository).ok
        assert restored(repository, second.id, tmp_path / "out") == image.read_bytes()
        assert restored(repository, first.id, tmp_path / "out") != image.read_bytes()
        hypersdk.prune(repository, RetentionPolicy(last=1))
        hypersdk.collect_garbage(repository, grace=timedelta(0))
        assert hypersdk.verify(repository).ok
        assert hypersdk.verify(repository, level=VerifyLevel.STORED).ok
        assert restored(repository, "web / größe@latest", tmp_path / "out") == image.read_bytes()


def test_replica_has_what_the_original_has(
    location: str, image: Path, key_file: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    original = hypersdk.init_repository(
        tmp_path / "original", protect=Protect.key_file(key_file), cache=cache
    )
    with original:
        hypersdk.backup_image(original, image, "web")
        hypersdk.backup_image(original, image, "db")
        first = hypersdk.copy_repository(original, location, instance="web", cache=cache)
        assert (first.kind, first.points) == ("replica", 1)
        rest = hypersdk.copy_repository(original, location, cache=cache)
        again = hypersdk.copy_repository(original, location, cache=cache)
        assert (rest.points, again.points, again.copied) == (1, 0, 0)
    with hypersdk.open_repository(location, key=Key.file(key_file), cache=cache) as replica:
        assert hypersdk.verify(replica).ok
        assert restored(replica, "db", tmp_path / "out") == image.read_bytes()
        later = hypersdk.backup_image(replica, image, "web")
        assert later.disks[0].statistics.stored == 0


def test_transfer_into_a_repository_with_other_keys(
    location: str, image: Path, key_file: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    original = hypersdk.init_repository(tmp_path / "original", cache=cache)
    hypersdk.init_repository(location, protect=Protect.key_file(key_file), cache=cache).close()
    with original:
        point = hypersdk.backup_image(original, image, "web")
        with pytest.raises(KeyRequired):
            hypersdk.copy_repository(original, location, cache=cache)
        key = Key.file(key_file)
        report = hypersdk.copy_repository(original, location, key=key, cache=cache)
        again = hypersdk.copy_repository(original, location, key=key, cache=cache)
    assert (report.kind, report.points, again.points) == ("transfer", 1, 0)
    with hypersdk.open_repository(location, key=key, cache=cache) as other:
        assert hypersdk.verify(other).ok
        assert restored(other, point.id, tmp_path / "out") == image.read_bytes()
