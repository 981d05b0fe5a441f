from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hypersdk import CancelToken, Interrupted
from hypersdk.cli.vmsnap.exits import Exit, LockReleaseFailed, status_of
from hypersdk.cli.vmsnap.locks import LockFolderRefused, LockHeld, acquire, lock_folder, locked
from tests.cli.vmsnap.conftest import Domains, Snap

URI = "qemu:///system"
#: Takes the lock, says so, and keeps it until its stdin ends.
HOLDER = """
import sys
from pathlib import Path
from hypersdk.cli.vmsnap.locks import acquire
acquire(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock of ``web``."""
    with holding(tmp_path / "locks", URI, "web") as process:
        yield process
        process.kill()


def holding(folder: Path, uri: str, domain: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder, uri, domain],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_it_is_free_again_after_release(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path, URI, "web"), pytest.raises(LockHeld):
            acquire(tmp_path, URI, "web")


def test_domains_and_connections_have_locks_of_their_own(tmp_path: Path) -> None:
    with (
        locked(tmp_path, URI, "web"),
        locked(tmp_path, URI, "web/../x y"),
        locked(tmp_path, "qemu:///session", "web"),
    ):
        assert len(list(tmp_path.iterdir())) == 3


def test_who_holds_it_and_since_when(tmp_path: Path) -> None:
    since = datetime(2026, 11, 21, 2, tzinfo=UTC)
    lock = acquire(tmp_path, URI, "web", now=lambda: since)
    with pytest.raises(LockHeld) as caught:
        acquire(tmp_path, URI, "web")
    assert str(caught.value) == (
        f"another vmsnap works on 'web' (process {os.getpid()} since 2026-11-21T02:00:00Z)\n"
        "Run it again later, or let it wait: --wait SECONDS"
    )
    lock.release()


def test_a_process_that_was_killed_holds_nothing(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(LockHeld) as caught:
        acquire(tmp_path / "locks", URI, "web")
    assert f"process {holder.pid} " in caught.value.message
    holder.kill()
    holder.wait()
    acquire(tmp_path / "locks", URI, "web").release()


def test_waiting(tmp_path: Path) -> None:
    lock = acquire(tmp_path, URI, "web")
    timer = threading.Timer(0.3, lock.release)
    timer.start()
    acquire(tmp_path, URI, "web", wait=30).release()
    timer.join()


def test_waiting_ends(tmp_path: Path) -> None:
    with locked(tmp_path, URI, "web"):
        began = time.monotonic()
        with pytest.raises(LockHeld):
            acquire(tmp_path, URI, "web", wait=0.3)
        assert time.monotonic() - began >= 0.3
        token = CancelToken()
        token.cancel()
        with pytest.raises(Interrupted):
            acquire(tmp_path, URI, "web", wait=30, cancel=token)


def test_a_lock_that_cannot_be_released(tmp_path: Path) -> None:
    lock = acquire(tmp_path, URI, "web")
    lock.release()
    with pytest.raises(LockReleaseFailed) as caught:
        lock.release()  # its descriptor is closed
    assert status_of(caught.value) is Exit.LOCK_RELEASE


def test_what_failed_first_is_raised(tmp_path: Path) -> None:
    def fail() -> None:
        with locked(tmp_path, URI, "web") as lock:
            lock.release()
            raise ValueError("first")

    with pytest.raises(ValueError, match="first") as caught:
        fail()
    assert "could not be released" in caught.value.__notes__[0]


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    (tmp_path / "file").write_text("")
    for name in ("open", "link", "file", "file/below"):
        with pytest.raises(LockFolderRefused, match="TMPDIR"):
            acquire(tmp_path / name, URI, "web")


def test_where_locks_are() -> None:
    assert lock_folder({"TMPDIR": "/x"}) == Path("/x/vmsnap-locks")
    # The same from cron, which has no session of a user.
    assert lock_folder({}) == lock_folder({"XDG_RUNTIME_DIR": "/run/user/0"})


def test_two_runs_on_one_domain(snap: Snap, domains: Domains) -> None:
    domains("web")
    domains("db")
    folder = lock_folder(snap.environment)
    with holding(folder, snap.uri, "web") as other:
        result = snap.backup("web", expect=3)
        assert f"another vmsnap works on 'web' (process {other.pid} since 20" in result.err
        result = snap.backup("web,db", expect=3)
        assert [bool(each["point"]) for each in result.json["domains"]] == [False, True]
        scrub = ("--scrub", "--scrubType", "both", "--domains", "web")
        assert "another vmsnap" in snap(*scrub, expect=3).err
        snap()  # looking harms nobody
        timer = threading.Timer(0.5, other.kill)
        timer.start()
        snap.backup("web", "--wait", 30)
        timer.join()
