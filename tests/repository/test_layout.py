from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hypersdk.model.errors import InvalidInput
from hypersdk.repository.layout import (
    ENGINE,
    instance_folder,
    pack_key,
    pack_name,
    point_key,
)
from hypersdk.repository.points import new_point_id
from hypersdk.repository.store.keys import PART_BYTES_MAX, fault_of_key

#: Any text that has a UTF-8 form, also of several hundred bytes.
names = st.text(st.characters(codec="utf-8"), min_size=1).filter(
    lambda name: len(name.encode()) <= 1024
) | st.text("aä. /=", min_size=60, max_size=500)


@given(names)
@example(".")
@example("..")
@example("...")
@example(" ")
@example(ENGINE)
@example("/etc/passwd")
@example("a/../b")
@example("C:\\vm")
@example("\x00\x1f\x7f")
@example("web\n1")
@example("ä" * 128)
@example("." * 255)
def test_every_name_has_a_folder_that_every_store_accepts(name: str) -> None:
    folder = instance_folder(name)
    assert fault_of_key(folder) == ""
    assert "/" not in folder
    assert folder != ENGINE
    assert len(folder.encode()) <= PART_BYTES_MAX
    key = point_key(name, datetime(2026, 11, 21, tzinfo=UTC), new_point_id())
    assert fault_of_key(key) == ""


@given(names, names)
@example("a/b", "a=2Fb")
@example("a" * 201, "a" * 202)
@example("a" * 161 + "b" * 40, "a" * 161 + "c" * 40)
@example("a.", "a=2E")
@example("é", "e\u0301")
def test_different_names_have_different_folders(one: str, other: str) -> None:
    assert (instance_folder(one) == instance_folder(other)) == (one == other)


@given(names)
def test_a_folder_up_to_the_limit_can_be_read_back(name: str) -> None:
    folder = instance_folder(name)
    if "=~" in folder:
        assert len(folder.encode()) <= 200
        return
    parts = folder.split("=")
    raw = parts[0].encode() + b"".join(
        bytes.fromhex(part[:2]) + part[2:].encode() for part in parts[1:]
    )
    assert raw.decode() == name


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("web-1", "web-1"),
        ("Datenbank Süd (2)", "Datenbank Süd (2)"),
        ("данные", "данные"),
        ("a/b", "a=2Fb"),
        (".hidden", "=2Ehidden"),
        ("end.", "end=2E"),
        (" padded ", "=20padded=20"),
        ("a=b", "a=3Db"),
        ("100%", "100=25"),
        ("web\\1:*?", "web=5C1=3A=2A=3F"),
    ],
)
def test_folders_as_the_document_has_them(name: str, folder: str) -> None:
    assert instance_folder(name) == folder


def test_a_long_name_is_cut_at_a_character() -> None:
    folder = instance_folder("ä" * 128)
    assert folder.startswith("ä" * 80 + "=~")
    assert len(folder.encode()) == 160 + 2 + 32


@pytest.mark.parametrize("name", ["", "a" * 1025, "ä" * 513, "not\udcffutf-8"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        instance_folder(name)


def test_keys_of_an_instance_sort_by_time() -> None:
    moment = datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC)
    east = timezone(timedelta(hours=14))
    times = [moment, (moment + timedelta(seconds=1)).astimezone(east), moment + timedelta(days=9)]
    keys = [point_key("web", time, new_point_id()) for time in times]
    assert keys == sorted(keys)
    assert keys[0].startswith("web/20261121T235959Z-")
    assert keys[1].startswith("web/20261122T000000Z-")


def test_packs_are_found_by_their_keys() -> None:
    name = bytes(range(32))
    assert pack_name(pack_key(name)) == name
    assert pack_key(name).startswith(".hypersdk/packs/00/000102")


@pytest.mark.parametrize("key", ["", "packs/00/README", "packs/00/" + "z" * 64, "a" * 63])
def test_other_files_are_no_packs(key: str) -> None:
    assert pack_name(key) is None
