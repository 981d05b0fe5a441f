"""A file that changed by one bit is found, and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.artifacts.checksums import Checksum
from hypersdk.artifacts.verifying import check_files, digests_of, verify_files
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import Damaged, Interrupted
from hypersdk.model.progress import Progress


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        (tmp_path / f"disk-{number}.vmdk").write_bytes(bytes([number]) * (3 << 20))
    return tmp_path


def checksums(folder: Path, algorithm: str = "sha256") -> list[Checksum]:
    return list(digests_of(sorted(folder.iterdir()), algorithm).values())


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "blake3"])
def test_what_is_whole_is_said_to_be(folder: Path, algorithm: str) -> None:
    events: list[Progress] = []
    found = verify_files(folder, checksums(folder, algorithm), reporter=events.append)
    assert [each.error for each in found] == [None] * 4
    assert sum(each.size for each in found) == 12 << 20
    assert events[-1].finished
    assert events[-1].done == events[-1].total == 12 << 20


def test_one_bit_is_found(folder: Path) -> None:
    wanted = checksums(folder)
    path = folder / "disk-2.vmdk"
    content = bytearray(path.read_bytes())
    content[2_000_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match=r"disk-2\.vmdk is not what its checksum says") as caught:
        verify_files(folder, wanted)
    assert caught.value.hint
    assert [each.checksum.name for each in check_files(folder, wanted) if each.error] == [path.name]


def test_every_damaged_file_is_named(folder: Path) -> None:
    wanted = checksums(folder)
    (folder / "disk-0.vmdk").write_bytes(b"")
    (folder / "disk-3.vmdk").unlink()
    with pytest.raises(Damaged, match="2 files") as caught:
        verify_files(folder, wanted)
    assert "disk-0.vmdk" in caught.value.message
    assert "disk-3.vmdk" in caught.value.message


def test_a_missing_file_is_damage(folder: Path) -> None:
    wanted = checksums(folder)
    (folder / "disk-3.vmdk").unlink()
    with pytest.raises(Damaged, match=r"disk-3\.vmdk"):
        verify_files(folder, wanted)


def test_both_can_be_cancelled(folder: Path) -> None:
    wanted = checksums(folder)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Interrupted):
        verify_files(folder, wanted, cancel=token)
    with pytest.raises(Interrupted), token.scope():
        digests_of(sorted(folder.iterdir()))


def test_the_pace_is_kept(folder: Path) -> None:
    asked: list[int] = []
    digests_of(sorted(folder.iterdir()), pace=asked.append)
    assert sum(asked) == 12 << 20
