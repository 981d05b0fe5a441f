from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from hypersdk.drivers.mock.counters import Counted, Counters, counted


def test_counts_add_up_and_are_read_by_others(tmp_path: Path) -> None:
    folder = tmp_path / "counters"
    with closing(Counters(folder, "disk")) as one, closing(Counters(folder, "disk")) as other:
        one.count_read(10, 1)
        other.count_read(5, 2)
        other.count_write(7, 3)
    assert counted(folder, "disk") == Counted(15, 2, 3, 7, 1, 3)


def test_a_file_that_was_cut_begins_anew(tmp_path: Path) -> None:
    with closing(Counters(tmp_path, "disk")) as counters:
        counters.count_write(7, 3)
        os.truncate(tmp_path / "disk", 0)
        assert counted(tmp_path, "disk") == Counted()
        counters.count_write(1, 1)
    assert counted(tmp_path, "disk") == Counted(0, 0, 0, 1, 1, 1)
    assert counted(tmp_path, "other") == Counted()
