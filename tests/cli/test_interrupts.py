"""Ctrl-C and SIGTERM, as a person or a service manager would send them."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import MIB, Runner

PROGRAM = [sys.executable, "-c", "from hypersdk.cli.main import main; main()"]
SLOWLY = ("--throttle", "2MiB/s")
#: Seconds until a cancelled backup has ended, on a busy machine.
PATIENCE = 20


@pytest.fixture
def large_image(tmp_path: Path) -> Path:
    path = tmp_path / "large.img"
    path.write_bytes(random.Random(3).randbytes(64 * MIB))
    return path


def start_slow_backup(place: Path, image: Path) -> subprocess.Popen[str]:
    """A backup that takes half a minute, a second after it has begun to store."""
    process = subprocess.Popen(
        [*PROGRAM, "backup", "--repo", str(place), "--image", str(image), "--name", "web", *SLOWLY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    leases = place / ".hypersdk" / "leases"
    deadline = time.monotonic() + PATIENCE
    while not (leases.is_dir() and any(leases.iterdir())):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.5)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_cleanly_and_says_what_is_kept(
    command: Runner, place: Path, large_image: Path, number: signal.Signals
) -> None:
    process = start_slow_backup(place, large_image)
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert "Stopping. Once more ends at once." in err
    assert "hypersdk: the backup of web was interrupted; it has no restore point" in err
    kept = re.search(r"(\d+\.\d) MiB stored so far are kept and reused by the next run", err)
    assert kept is not None
    assert float(kept[1]) > 0
    assert time.monotonic() - began < 5

    assert "all is well" in command("verify", place).out
    assert command("repo", "list", place, "--json").json["points"] == []
    done = command(*("backup", "--repo", place, "--image", large_image, "--name", "web", "--json"))
    statistics = done.json["points"][0]["disks"][0]["statistics"]
    assert statistics["stored"] < statistics["read"] - float(kept[1]) * 0.9 * MIB


def test_the_second_signal_ends_at_once(command: Runner, place: Path, large_image: Path) -> None:
    process = start_slow_backup(place, large_image)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "all is well" in command("verify", place).out
    command("backup", "--repo", place, "--image", large_image, "--name", "web")


def test_a_restore_that_is_interrupted_leaves_no_file(
    command: Runner, place: Path, large_image: Path, tmp_path: Path
) -> None:
    command("backup", "--repo", place, "--image", large_image, "--name", "web")
    folder = tmp_path / "out"
    folder.mkdir()
    process = subprocess.Popen(
        [*PROGRAM, "restore", "--repo", str(place), "web", "--to", str(folder / "a"), *SLOWLY],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE
    while not os.listdir(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "the restore of web was interrupted" in err
    assert os.listdir(folder) == []
