from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest

from hypersdk import MockHypervisor
from hypersdk.cli import demolab

MIB = 1 << 20


def test_data_is_real_and_the_same_every_time() -> None:
    one = list(islice(demolab.file_data(), 4))
    assert one == list(islice(demolab.file_data(), 4))
    assert [len(block) for block in one] == [MIB] * 4
    assert any(b"ELF" in block or b"Copyright" in block or b"def " in block for block in one)


def test_a_machine_without_files_gets_random_bytes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demolab, "_FOLDERS", (str(tmp_path),))
    assert len(set(islice(demolab.file_data(), 3))) == 3


def test_installing_leaves_holes(lab: MockHypervisor) -> None:
    lab.create_instance("new", {"vda": 1024 * MIB})
    with lab.guest("new", "vda") as guest:
        demolab.install(guest, guest.size, demolab.file_data(), 64 * MIB)
        assert guest.read(512 * MIB, MIB) != bytes(MIB)
        assert guest.read(256 * MIB, MIB) == bytes(MIB)
        demolab.work(guest, guest.size, 3, random.Random(1))
        demolab.delete(guest, guest.size)
        assert guest.read(640 * MIB, MIB) == bytes(MIB)


def test_identical_compares_every_byte(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        with path.open("wb") as file:
            file.truncate(64 * MIB)
            file.seek(40 * MIB)
            file.write(b"data")
    assert demolab.identical(one, other)
    for offset in (0, 40 * MIB + 3, 64 * MIB - 1):
        before = one.read_bytes()
        with one.open("r+b") as file:
            file.seek(offset)
            file.write(b"x")
        assert not demolab.identical(one, other), offset
        assert not demolab.identical(other, one), offset
        one.write_bytes(before)
    one.write_bytes(one.read_bytes() + b"\0")
    assert not demolab.identical(one, other)
