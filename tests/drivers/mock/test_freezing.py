from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hypersdk.drivers.mock.freezing import (
    abandoned,
    freeze,
    frozen_for_a_moment,
    thaw,
    wait_until_thawed,
)
from hypersdk.model.errors import OperationTimeout

DIES_FROZEN = """
import os, sys
from pathlib import Path
from hypersdk.drivers.mock.freezing import frozen_for_a_moment
with frozen_for_a_moment(Path(sys.argv[1])):
    os._exit(0)
"""


def test_a_moment_ends_also_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), frozen_for_a_moment(tmp_path):
        (tmp_path / "nowhere").read_bytes()
    assert not thaw(tmp_path)


def test_a_moment_within_a_freeze_does_not_thaw(tmp_path: Path) -> None:
    assert freeze(tmp_path)
    with frozen_for_a_moment(tmp_path):
        pass
    assert thaw(tmp_path)


def test_a_moment_whose_process_died_ends_with_the_next_write(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DIES_FROZEN, str(tmp_path)], check=True, timeout=60)
    assert abandoned(tmp_path)
    wait_until_thawed(tmp_path, "the disk", seconds=30)
    assert not thaw(tmp_path)


def test_a_write_does_not_wait_forever(tmp_path: Path) -> None:
    freeze(tmp_path)
    with pytest.raises(OperationTimeout, match="the disk"):
        wait_until_thawed(tmp_path, "the disk", seconds=0.02)
