from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock import notices
from hypersdk.drivers.mock.notices import Notice, Reader, announce
from hypersdk.model.instances import EventKind, InstanceState


def notice(number: int) -> Notice:
    return Notice(EventKind.STATE, f"id-{number}", "ü\n", InstanceState.RUNNING, 1.5, "started")


def test_a_reader_gives_what_comes_after_it_was_made(tmp_path: Path) -> None:
    announce(tmp_path, notice(0))
    reader = Reader(tmp_path)
    assert list(reader.read()) == []
    announce(tmp_path, notice(1))
    announce(tmp_path, notice(2))
    assert list(reader.read()) == [notice(1), notice(2)]
    assert list(reader.read()) == []
    reader.close()


def test_nothing_is_lost_when_a_new_file_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "LONG", 1000)
    steady, lazy = Reader(tmp_path), Reader(tmp_path)
    told = []
    for number in range(25):
        announce(tmp_path, notice(number))
        told += list(steady.read())
    assert told == [notice(number) for number in range(25)]
    assert (tmp_path / "hypervisor.events").stat().st_size < 1500
    behind = list(lazy.read())  # it sleeps through files that came and went in between
    assert behind[0] == notice(0)
    assert behind[-1] == notice(24)
    steady.close()
    lazy.close()
