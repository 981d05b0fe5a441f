from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import HypervisorError, InvalidInput
from tests.drivers.mock.lab import GRANULE, MIB, kept, kinds


def test_what_is_written_is_read_and_in_the_file(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(100, b"abcdef")
        guest.zero(102, 2)
        guest.discard(105, 1)
        assert guest.read(99, 8) == b"\0ab\0\0e\0\0"
    path = Path(mock.inventory.instance("web").disks[0].path)
    assert path.read_bytes()[100:106] == b"ab\0\0e\0"


def test_zeroed_blocks_are_given_back(mock: MockHypervisor) -> None:
    path = Path(mock.inventory.instance("web").disks[0].path)
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"x" * MIB)
        assert path.stat().st_blocks * 512 >= MIB
        guest.zero(0, MIB)
    assert path.stat().st_blocks * 512 < MIB // 4


def test_resize_changes_file_and_definition(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(3 * MIB, b"tail")
        guest.resize(MIB)
        assert guest.size == MIB
        guest.resize(5 * MIB)
        assert guest.read(3 * MIB, 4) == bytes(4)
    disk = mock.inventory.instance("web").disks[0]
    assert disk.size == Path(disk.path).stat().st_size == 5 * MIB


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (4 * MIB, 1), (4 * MIB - 1, 2)])
def test_outside_the_disk_is_refused(mock: MockHypervisor, offset: int, length: int) -> None:
    with mock.guest("web", "vda") as guest:
        with pytest.raises(InvalidInput, match="outside"):
            guest.write(offset, bytes(length))
        with pytest.raises(InvalidInput, match="outside"):
            guest.zero(offset, length)
        with pytest.raises(InvalidInput, match="outside"):
            guest.read(offset, length)


def test_a_closed_handle_writes_nowhere(mock: MockHypervisor) -> None:
    guest = mock.guest("web", "vda")
    guest.close()
    guest.close()
    with pytest.raises(HypervisorError):
        guest.write(0, b"x")


def test_a_change_can_be_left_out_of_the_record(mock: MockHypervisor) -> None:
    """The lie that an audit of unchanged areas has to find."""
    since = kept(mock)
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"told")
        guest.write(5 * GRANULE, b"not told", journal=False)
        with mock.disks.view("web", since) as view, view.disks[0].open() as source:
            assert kinds(source, 0, 8 * GRANULE) == ["DZ", *"......."]


def test_threads_do_not_lose_each_others_changes(mock: MockHypervisor) -> None:
    since = kept(mock)

    def write(first: int) -> None:
        with mock.guest("web", "vda") as guest:
            for number in range(first, 64, 4):
                guest.write(number * GRANULE, bytes([number + 1]) * GRANULE)

    threads = [Thread(target=write, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with mock.disks.view("web", since) as view, view.disks[0].open() as source:
        assert kinds(source) == ["D"] * 64
