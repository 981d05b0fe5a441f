from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.flows.exporting.layout import Layout, safe_name
from hypersdk.model.errors import AlreadyExists, InvalidState
from hypersdk.model.instances import Disk, Purpose


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("web", "web"),
        ("web/1: a?b", "web_1_ a_b"),
        ("..", "unnamed-vm"),
        ("-.x.-", "x"),
        ("", "unnamed-vm"),
        ("\n", "_"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text())
def test_no_name_leads_elsewhere(name: str) -> None:
    safe = safe_name(name)
    assert safe not in {"", ".", ".."}
    assert not set(safe) & set("/\\\0\r\n")
    assert not safe.startswith((".", "-"))
    assert len(safe.encode("utf-8", "replace")) <= 200


def test_disks_are_numbered_and_other_files_keep_their_names(tmp_path: Path) -> None:
    disks = [
        Disk("sda", 1),
        Disk("nvram", 1, purpose=Purpose.NVRAM),
        Disk("sdb", 1),
        Disk("data/x", 1, purpose=Purpose.ARCHIVE),
        Disk("data:x", 1, purpose=Purpose.ARCHIVE),
    ]
    found = Layout(tmp_path, "web", "ovf").disk_files(disks)
    assert list(found.values()) == [
        "web-disk-0.vmdk",
        "web.nvram",
        "web-disk-1.vmdk",
        "web-data_x.tar",
        "_web-data_x.tar",
    ]


def test_two_exports_of_one_name_do_not_meet(tmp_path: Path) -> None:
    first, second = (Layout(tmp_path, "web", "ovf") for _ in range(2))
    first.begin()
    second.begin()
    with (
        first.locked(),
        pytest.raises(InvalidState, match="another export of 'web'"),
        second.locked(),
    ):
        pass
    with second.locked():
        pass


def test_what_is_published_replaces_only_when_it_may(tmp_path: Path) -> None:
    layout = Layout(tmp_path, "web", "ovf")
    layout.begin()
    (layout.staging / "a").write_text("new")
    (tmp_path / "a").write_text("old")
    with pytest.raises(AlreadyExists):
        layout.publish(["a"], overwrite=False)
    assert (tmp_path / "a").read_text() == "old"
    layout.publish(["a"], overwrite=True)
    layout.end()
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "new"
