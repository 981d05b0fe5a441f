from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.mock.locks import locked
from hypersdk.model.errors import HypervisorBusy, Interrupted

COUNTS = """
import sys
from pathlib import Path
from hypersdk.drivers.mock.locks import locked
for _ in range(100):
    with locked(Path(sys.argv[1])):
        path = Path(sys.argv[2])
        path.write_text(str(int(path.read_text()) + 1))
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    (tmp_path / "lock").touch()
    return tmp_path / "lock"


def test_threads_and_processes_exclude_each_other(lock: Path) -> None:
    count = lock.with_name("count")
    count.write_text("0")
    command = [sys.executable, "-c", COUNTS, str(lock), str(count)]
    processes = [subprocess.Popen(command) for _ in range(2)]

    def work() -> None:
        for _ in range(50):
            with locked(lock):
                count.write_text(str(int(count.read_text()) + 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert count.read_text() == "400"


def test_waiting_obeys_the_token_and_does_not_last_forever(lock: Path) -> None:
    token = CancelToken()
    caught: list[BaseException] = []

    def wait(busy_seconds: float) -> None:
        try:
            with token.scope(), locked(lock, busy_seconds=busy_seconds):
                pass
        except (HypervisorBusy, Interrupted) as error:
            caught.append(error)

    with locked(lock):
        thread = threading.Thread(target=wait, args=(0.01,))
        thread.start()
        thread.join(30)
        thread = threading.Thread(target=wait, args=(60,))
        thread.start()
        time.sleep(0.05)
        token.cancel()
        thread.join(30)
    assert [type(error) for error in caught] == [HypervisorBusy, Interrupted]
    with locked(lock):
        pass


def test_a_lock_that_was_removed_is_gone(lock: Path) -> None:
    with locked(lock):
        lock.unlink()
    with pytest.raises(FileNotFoundError), locked(lock):
        pass
