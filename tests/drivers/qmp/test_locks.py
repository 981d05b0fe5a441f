from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hypersdk.drivers.qmp.locks import is_locked, locked, locked_at_once, release
from hypersdk.model.errors import HypervisorBusy


def test_a_lock_excludes_others_until_it_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    held = locked(path, "test", 1)
    assert is_locked(path)
    assert locked_at_once(path) is None
    with pytest.raises(HypervisorBusy, match="another program"):
        locked(path, "test", 0.05)
    with subprocess.Popen(["sleep", "5"], pass_fds=(held,)) as child:
        release(held)  # also where a child has the descriptor
        assert not is_locked(path)
        child.kill()


def test_a_file_that_was_replaced_is_not_the_lock_any_more(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    held = locked(path, "test", 1)
    path.rename(tmp_path / "old")
    path.touch()
    release(locked(path, "test", 1))
    release(held)
