from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersdk.drivers.mock.contents import Replacing
from hypersdk.drivers.mock.driver import MockHypervisor
from tests.drivers.mock.lab import GRANULE, content, kept

SIZE = 5 * GRANULE + 77
AREAS = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 2 * GRANULE)), max_size=4)


@settings(max_examples=30, deadline=None)
@given(before=AREAS, wanted=AREAS, size=st.just(SIZE) | st.integers(1, 2 * SIZE))
def test_a_disk_becomes_a_file_and_backups_know_what_changed(
    before: list[tuple[int, int]],
    wanted: list[tuple[int, int]],
    size: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = tmp_path_factory.mktemp("lab")
    mock = MockHypervisor(place / "lab")
    mock.create_instance("vm", {"vda": SIZE})
    old, new = bytearray(SIZE), bytearray(size)
    with mock.guest("vm", "vda") as guest:
        for offset, length in before:
            data = b"o" * min(length, SIZE - offset)
            guest.write(offset, data)
            old[offset : offset + len(data)] = data
        since = kept(mock, "vm")
        for offset, length in wanted:
            new[offset : offset + length] = b"n" * max(0, min(length, size - offset))
        sparse_write(place / "file", bytes(new))
        folder = mock._root.find("vm")
        with mock.disks.view("vm", {}) as view, view.disks[0].open() as source:
            with folder.locked(), closing(Replacing(folder, folder.definition().disks[0])) as disk:
                disk.become(place / "file")
            assert content(source) == bytes(old), "an open view stays at its moment"
        path = folder.disk_path(folder.definition().disks[0])
        assert path.read_bytes() == bytes(new)
        if size == SIZE:
            with mock.disks.view("vm", since) as view, view.disks[0].open() as source:
                assert view.disks[0].incremental
                assert content(source, bytes(old)) == bytes(new)


def sparse_write(path: Path, data: bytes) -> None:
    """Whole granules of zeroes become holes."""
    with path.open("wb") as file:
        file.truncate(len(data))
        for start in range(0, len(data), GRANULE):
            if any(data[start : start + GRANULE]):
                file.seek(start)
                file.write(data[start : start + GRANULE])
