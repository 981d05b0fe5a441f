from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.drivers.mock import sparse

MIB = 1 << 20


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "disk", os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, 8 * MIB)
    yield descriptor
    os.close(descriptor)


def test_pieces_alternate_and_cover_the_range(file: int) -> None:
    sparse.write_all(file, MIB, bytes(MIB))
    sparse.write_all(file, 3 * MIB, b"x" * MIB)
    assert list(sparse.pieces(file, 0, 8 * MIB)) == [
        (0, MIB, False),
        (MIB, 2 * MIB, True),
        (2 * MIB, 3 * MIB, False),
        (3 * MIB, 4 * MIB, True),
        (4 * MIB, 8 * MIB, False),
    ]


def test_behind_the_end_of_the_file_is_a_hole(file: int) -> None:
    assert list(sparse.pieces(file, 7 * MIB, 12 * MIB)) == [(7 * MIB, 12 * MIB, False)]


def test_punch_zeroes_partial_blocks_and_frees_whole_ones(file: int) -> None:
    sparse.write_all(file, 0, b"x" * MIB)
    sparse.punch(file, 5000, 100_000)
    content = os.pread(file, MIB, 0)
    assert content == b"x" * 5000 + bytes(100_000) + b"x" * (MIB - 105_000)
    assert os.fstat(file).st_blocks * 512 < MIB
    assert os.fstat(file).st_size == 8 * MIB


def test_copy_keeps_holes(file: int, tmp_path: Path) -> None:
    sparse.write_all(file, 3 * MIB + 7, b"y" * (2 * MIB))
    target = os.open(tmp_path / "copy", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        sparse.copy_data(file, target, MIB, 8 * MIB)
        assert os.pread(target, 2 * MIB, 3 * MIB + 7) == b"y" * (2 * MIB)
        assert next(sparse.pieces(target, 0, 4 * MIB))[2] is False
    finally:
        os.close(target)
