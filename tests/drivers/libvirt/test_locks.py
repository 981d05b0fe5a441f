from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.libvirt.locks import SharedLock, alone
from hypersdk.model.errors import HypervisorError, Interrupted

URI = "test:///locks"


def test_the_last_one_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    first, second = SharedLock.of(URI, "folder"), SharedLock.of(URI, "folder")
    assert not first.is_last()
    first.close()
    assert second.is_last()
    second.close(last=True)
    assert list(tmp_path.iterdir()) == []


def test_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads, each many times; whoever comes when the file is removed makes another."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    inside: list[int] = []
    worst = 0

    def work() -> None:
        nonlocal worst
        for _ in range(5):
            with alone(URI, "name"):
                inside.append(1)
                worst = max(worst, len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1
    assert list(tmp_path.iterdir()) == []


def test_other_things_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with alone(URI, "one"), alone(URI, "two"), alone("test:///other", "one"):
        assert len(list(tmp_path.iterdir())) == 3


def test_a_killed_process_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = (
        "import tempfile, sys; tempfile.tempdir = sys.argv[1]\n"
        "from hypersdk.drivers.libvirt.locks import alone\n"
        "with alone('test:///locks', 'name'): print('held', flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        token = CancelToken()
        threading.Timer(0.2, token.cancel).start()
        with token.scope(), pytest.raises(Interrupted), alone(URI, "name"):
            pass
        other.kill()
    with alone(URI, "name"):
        pass


def test_a_file_that_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(HypervisorError, match="cannot lock"), alone(URI, "name"):
        pass
