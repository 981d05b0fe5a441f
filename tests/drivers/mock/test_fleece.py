"""A view stays at its moment: while threads write, while processes write, after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

from hypersdk.drivers.mock.driver import MockHypervisor
from tests.drivers.mock.lab import GRANULE, MIB, content, kept, kinds, read, tokens

READER = """
import sys
from pathlib import Path
from hypersdk.drivers.mock.driver import MockHypervisor
mock = MockHypervisor(Path(sys.argv[1]))
view = mock.disks.view("web", {"vda": sys.argv[2]} if sys.argv[2] else {})
print(view.disks[0].checkpoint, flush=True)
sys.stdin.read()
source = view.disks[0].open()
buffer = bytearray(source.size)
source.readinto(0, memoryview(buffer))
view.__exit__(None, None, None)
sys.exit(0 if set(buffer) == {7} else 9)
"""

WRITER = """
import sys
from pathlib import Path
from hypersdk.drivers.mock.driver import MockHypervisor
guest = MockHypervisor(Path(sys.argv[1])).guest("web", "vda")
for round in range(4):
    for number in range(0, 64, 2):
        guest.write(number * 65536, bytes([100 + round]) * 65536)
"""


def run(code: str, root: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(root), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def lab(mock: MockHypervisor) -> Path:
    return Path(mock.inventory.instance("web").disks[0].path).parents[2]


def views(mock: MockHypervisor) -> list[str]:
    return sorted(path.name for path in lab(mock).glob("*/views/*"))


def test_a_view_stays_while_a_thread_writes(mock: MockHypervisor) -> None:
    """Every read, repeated while a guest rewrites, zeroes and resizes, gives the old bytes."""
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"\7" * (4 * MIB))
    done = Event()

    def write() -> None:
        with mock.guest("web", "vda") as guest:
            for turn in range(64):
                if done.is_set():
                    return
                guest.write(turn * GRANULE, bytes([turn + 8]) * GRANULE)
                guest.zero((turn * 37 % 64) * GRANULE + 100, 50_000)
            guest.resize(MIB)
            guest.resize(6 * MIB)

    with mock.disks.view("web", {}) as view, view.disks[0].open() as source:
        thread = Thread(target=write)
        thread.start()
        try:
            reads = 0
            while thread.is_alive() or reads < 4:
                assert content(source) == b"\7" * (4 * MIB)
                reads += 1
        finally:
            done.set()
            thread.join()
        assert set("".join(kinds(source))) == {"D"}
    assert views(mock) == []


def test_kinds_are_those_of_the_moment(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"x" * GRANULE)
        with mock.disks.view("web", {}) as view, view.disks[0].open() as source:
            guest.zero(0, GRANULE)
            guest.write(GRANULE, b"y" * GRANULE)
            assert kinds(source, 0, 3 * GRANULE) == ["D", "Z", "Z"]
            assert read(source, 0, 2 * GRANULE) == b"x" * GRANULE + bytes(GRANULE)


def test_a_change_without_a_record_is_kept_out_of_open_views_too(mock: MockHypervisor) -> None:
    with (
        mock.guest("web", "vda") as guest,
        mock.disks.view("web", {}) as view,
        view.disks[0].open() as source,
    ):
        guest.write(0, b"not told", journal=False)
        assert read(source, 0, 8) == bytes(8)


def test_a_view_of_another_process_stays_while_we_write(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"\7" * (4 * MIB))
        with run(READER, lab(mock), "") as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline().startswith("mock:")
            guest.write(0, b"\10" * (4 * MIB))
            reader.communicate("")
        assert reader.returncode == 0


def test_our_view_stays_while_another_process_writes(mock: MockHypervisor) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"\7" * (4 * MIB))
        since = kept(mock)
        with mock.disks.view("web", since) as view, view.disks[0].open(full=True) as source:
            with run(WRITER, lab(mock)) as writer:
                while writer.poll() is None:
                    assert content(source) == b"\7" * (4 * MIB)
                    guest.write(GRANULE, b"we write too")
            assert writer.returncode == 0
            view.keep_checkpoints()
        with mock.disks.view("web", tokens(view)) as later, later.disks[0].open() as source:
            assert kinds(source, 0, 4 * GRANULE) == ["D", "D", "D", "."]


def kill_a_reader(mock: MockHypervisor, since: str = "") -> str:
    """Token of the checkpoint that a killed backup left behind."""
    with run(READER, lab(mock), since) as reader:
        assert reader.stdout is not None
        token = reader.stdout.readline().strip()
        os.kill(reader.pid, signal.SIGKILL)
    return token


def test_after_a_kill_the_next_backup_is_as_if_it_had_never_been(mock: MockHypervisor) -> None:
    since = kept(mock)
    with mock.guest("web", "vda") as guest:
        guest.write(0, b"before")
        kill_a_reader(mock, since["vda"])
        guest.write(GRANULE, b"after")
        assert views(mock) == [], "a writer gives up saving for the dead"
    with mock.disks.view("web", since) as view, view.disks[0].open() as source:
        assert view.disks[0].incremental
        assert kinds(source, 0, 3 * GRANULE) == ["DZ", "DZ", "."]
        assert len(list(lab(mock).glob("*/checkpoints/*"))) == 2


def test_killed_backups_do_not_pile_up_or_push_out_the_good_one(mock: MockHypervisor) -> None:
    since = kept(mock)
    for _ in range(5):
        kill_a_reader(mock, since["vda"])
    with mock.disks.view("web", since) as view:
        assert view.disks[0].incremental
        view.keep_checkpoints()
    assert len(list(lab(mock).glob("*/checkpoints/*"))) == 2
    assert views(mock) == []


def test_a_checkpoint_killed_after_the_commit_is_adopted(mock: MockHypervisor) -> None:
    """The restore point exists, only ``keep_checkpoints`` was not reached."""
    token = kill_a_reader(mock)
    with mock.guest("web", "vda") as guest:
        guest.write(GRANULE, b"after")
    with mock.disks.view("web", {"vda": token}) as view, view.disks[0].open() as source:
        assert kinds(source, 0, 3 * GRANULE) == [".", "DZ", "."]
    with mock.disks.view("web", {"vda": token}) as view:
        assert view.disks[0].incremental
