"""Backups of stopped and running instances, and what is left of those that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from hypersdk.drivers.diskports import BackupView, DiskView
from hypersdk.drivers.qmp.tokens import Token
from hypersdk.model.errors import HyperSDKError, InvalidState
from hypersdk.model.extents import ExtentKind
from hypersdk.model.instances import Consistency
from hypersdk.model.specs import DiskSpec
from hypersdk.model.units import KIB, MIB
from tests.drivers.qmp.conftest import Place

_GRAIN = 64 * KIB


def disk(view: BackupView, name: str = "vda") -> DiskView:
    return next(found for found in view.disks if found.disk.name == name)


def changed(view: BackupView) -> list[tuple[int, int, ExtentKind]]:
    """What a view reports as not unchanged, in grains."""
    with disk(view).open() as source:
        return [
            (extent.start // _GRAIN, extent.length // _GRAIN, extent.kind)
            for extent in source.extents()
            if extent.kind is not ExtentKind.UNCHANGED
        ]


def read(view: BackupView, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    with disk(view).open() as source:
        source.readinto(offset, memoryview(buffer))
    return bytes(buffer)


def kept(place: Place, since: Mapping[str, str]) -> dict[str, str]:
    """Tokens of a backup that was committed."""
    with place.driver.disks.view("web", since) as view:
        view.confirm()
        view.keep_checkpoints()
        return {found.disk.name: found.checkpoint for found in view.disks if found.checkpoint}


def bitmaps(place: Place) -> list[str]:
    """Of the running disk, past the driver."""
    with place.monitor() as monitor:
        nodes = monitor.ask("query-named-block-nodes", flat=True)
    return [found["name"] for node in nodes for found in node.get("dirty-bitmaps", ())]


def jobs(place: Place) -> list[str]:
    with place.monitor() as monitor:
        found = [*monitor.ask("query-jobs"), *monitor.ask("query-block-exports")]
        nodes = monitor.ask("query-named-block-nodes", flat=True)
    ours = [node["node-name"] for node in nodes if node["node-name"].startswith("hypersdk")]
    return [entry["id"] for entry in found] + ours


def test_a_running_disk_is_read_at_its_moment_and_then_by_its_changes(place: Place) -> None:
    place.running()
    place.guest.write("web", 0, b"a" * _GRAIN)
    with place.driver.disks.view("web", {}) as view:
        assert view.consistency is Consistency.CRASH
        place.guest.write("web", 0, b"b" * _GRAIN)
        assert read(view, 0, 4) == b"aaaa"
        view.confirm()
        view.keep_checkpoints()
        tokens = {"vda": str(disk(view).checkpoint)}
    place.guest.zero("web", 5 * _GRAIN, _GRAIN)
    with place.driver.disks.view("web", tokens) as view:
        assert disk(view).incremental
        assert changed(view) == [(0, 1, ExtentKind.DATA), (5, 1, ExtentKind.ZERO)]
        assert read(view, 0, 4) == b"bbbb"
    assert jobs(place) == []


def test_changes_are_known_across_stop_and_start(place: Place) -> None:
    place.running()
    first = kept(place, {})
    place.guest.write("web", 2 * _GRAIN, b"x" * _GRAIN)
    place.driver.lifecycle.stop("web", force=True)
    with place.driver.disks.view("web", first) as view:
        assert view.consistency is Consistency.OFFLINE
        assert changed(view) == [(2, 1, ExtentKind.DATA)]
    second = kept(place, first)
    place.driver.lifecycle.start("web")
    place.guest.write("web", 3 * _GRAIN, b"x" * _GRAIN)
    with place.driver.disks.view("web", second) as view:
        assert changed(view) == [(3, 1, ExtentKind.DATA)]


def test_a_backup_that_failed_leaves_the_record_as_it_was(place: Place) -> None:
    place.running()
    tokens = kept(place, {})
    before = bitmaps(place)
    with pytest.raises(ZeroDivisionError), place.driver.disks.view("web", tokens):
        raise ZeroDivisionError
    assert bitmaps(place) == before
    assert kept(place, tokens) != tokens
    assert len(bitmaps(place)) == 1, "the superseded record should be gone"


def test_a_record_lost_in_a_kill_is_read_in_full_with_the_reason(place: Place) -> None:
    place.running()
    tokens = kept(place, {})
    place.driver.lifecycle.stop("web", force=True)
    place.driver.lifecycle.start("web")
    os.kill(place.pids()[0], signal.SIGKILL)
    while place.pids():
        time.sleep(0.01)
    place.driver.lifecycle.stop("web")
    with place.driver.disks.view("web", tokens) as view:
        assert not disk(view).incremental
        assert "not saved properly" in disk(view).reason


def test_reverting_ends_the_record(place: Place) -> None:
    place.create()
    place.driver.snapshots.create("web", "before")
    tokens = kept(place, {})
    place.driver.snapshots.revert("web", "before")
    with place.driver.disks.view("web", tokens) as view:
        assert "lost" in disk(view).reason


def test_a_raw_disk_is_read_in_full_beside_a_qcow2_one(place: Place) -> None:
    raw = DiskSpec(name="vdb", size=MIB, format="raw")
    place.running(disks=(DiskSpec(name="vda", size=MIB), raw))
    tokens = kept(place, {})
    assert list(tokens) == ["vda"]
    with place.driver.disks.view("web", tokens) as view:
        assert disk(view).incremental
        assert "no record" in disk(view, "vdb").reason


def test_one_backup_at_a_time_and_nothing_else_meanwhile(place: Place) -> None:
    place.running()
    with place.driver.disks.view("web", {}):
        with pytest.raises(InvalidState, match="backed up already"):
            place.driver.disks.view("web", {})
        with pytest.raises(InvalidState, match="a backup is reading"):
            place.driver.snapshots.create("web", "now")
        with pytest.raises(InvalidState, match="a backup is reading"):
            place.driver.hotplug.attach_disk("web", DiskSpec(size=MIB))


def test_a_machine_switched_off_under_a_backup_is_named_as_the_reason(place: Place) -> None:
    place.running()
    with place.driver.disks.view("web", {}) as view:
        place.driver.lifecycle.stop("web", force=True)
        with pytest.raises(InvalidState, match="switched off"):
            view.confirm()


def test_a_stopped_view_keeps_the_instance_from_starting(place: Place) -> None:
    place.create()
    with (
        place.driver.disks.view("web", {}),
        pytest.raises(InvalidState, match="lock"),
    ):
        place.driver.lifecycle.start("web")
    place.driver.lifecycle.start("web")


def test_rewriting_is_noted_as_a_change(place: Place) -> None:
    place.create()
    tokens = kept(place, {})
    with place.driver.disks.rewrite("web") as rewriting, rewriting.sink("vda") as sink:
        sink.write(7 * _GRAIN, memoryview(b"r" * _GRAIN))
    with place.driver.disks.view("web", tokens) as view:
        assert changed(view) == [(7, 1, ExtentKind.DATA)]
    assert place.guest.read("web", 7 * _GRAIN, 4) == b"rrrr"


_VIEWER = """
import sys
from pathlib import Path
from hypersdk.drivers.qmp.driver import QmpHypervisor
view = QmpHypervisor(Path(sys.argv[1])).disks.view("web", {})
print(view._work.record.scratch, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("running", [True, False])
def test_a_backup_that_is_killed_is_cleaned_up(place: Place, running: bool) -> None:
    place.running() if running else place.create()
    viewer = subprocess.Popen(
        [sys.executable, "-c", _VIEWER, str(place.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert viewer.stdout is not None
    scratch = viewer.stdout.readline().strip()
    viewer.kill()
    viewer.communicate()
    if running:
        deadline = time.monotonic() + 20
        while jobs(place) or bitmaps(place) or Path(scratch).exists():  # by its watcher
            assert time.monotonic() < deadline, (jobs(place), bitmaps(place))
            time.sleep(0.05)
    else:
        lines = place.driver.leftovers.reap()
        assert any("which died" in line for line in lines)
    place.driver.disks.view("web", {}).__exit__(None, None, None)
    assert place.driver.leftovers.reap() == []


def test_tokens_tell_disks_apart(place: Place) -> None:
    place.create()
    tokens = kept(place, {})
    token = Token.parse(tokens["vda"])
    assert token is not None
    other = Token(token.bitmap, token.size, "0123456789abcdef")
    for text, words in (
        (str(other), "moved, replaced"),
        (str(Token(token.bitmap, 1, token.path)), "resized"),
        ("libvirt:{}", "another driver"),
        ("qmp:[]", "another driver"),
        (str(Token("hypersdk.never", token.size, token.path)), "lost"),
    ):
        with place.driver.disks.view("web", {"vda": text}) as view:
            assert words in disk(view).reason


def test_a_missing_disk_is_an_error(place: Place) -> None:
    made = place.create()
    Path(made.disks[0].path).unlink()
    with pytest.raises(HyperSDKError):
        place.driver.disks.view("web", {})
    assert place.driver.leftovers.reap() == []
