from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypersdk.drivers.mock.files import folder_name, make_sparse, open_private, replace_file
from hypersdk.model.errors import InvalidInput


def test_names_are_readable_and_never_the_same_for_two() -> None:
    assert folder_name("web").startswith("web-")
    assert folder_name("a/b").startswith("a-b-")
    assert folder_name("..").startswith("instance-")
    assert len({folder_name(name) for name in ("a/b", "a-b", "a b", "A/b")}) == 4
    with pytest.raises(InvalidInput, match="of a snapshot"):
        folder_name("", "a snapshot")


def test_files_are_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    times = set()
    for number in range(50):
        replace_file(path, b"%d" % number, durable=number % 2 == 0)
        times.add(os.stat(path).st_mtime_ns)
    assert path.read_bytes() == b"49"
    assert len(times) == 50
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_sparse_files_take_no_room(tmp_path: Path) -> None:
    make_sparse(tmp_path / "disk", 1 << 40)
    status = (tmp_path / "disk").stat()
    assert (status.st_size, status.st_blocks) == (1 << 40, 0)
    with open_private(tmp_path / "disk") as file:
        assert file.tell() == 0
    assert (tmp_path / "disk").stat().st_size == 0
