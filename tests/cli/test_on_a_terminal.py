"""The command on a pseudo-terminal: bars, drawn tables, questions."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Runner

ARGUMENTS = [sys.executable, "-c", "from hypersdk.cli.main import main; main()"]
PATIENCE = 30


class Screen:
    """A child on a terminal of 100 columns, and all that it wrote there."""

    def __init__(self, *arguments: object) -> None:
        self.child, self._terminal = pty.fork()
        if self.child == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS="100", LINES="40")
            os.execv(sys.executable, [*ARGUMENTS, *map(str, arguments)])
        self.text = ""

    def read_until(self, pattern: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, self.text
            if not self._read():
                break
        assert re.search(pattern, self.text), self.text

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """Read all and wait. Returns the exit status."""
        while self._read():
            pass
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])

    def _read(self) -> bool:
        ready, _, _ = select.select([self._terminal], [], [], PATIENCE)
        assert ready, self.text
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # the child has closed its end
            return False
        self.text += data.decode(errors="replace")
        return bool(data)


@pytest.fixture
def backup(place: Path, image: Path) -> list[object]:
    return ["backup", "--repo", place, "--image", image, "--name", "web"]


def test_bars_and_a_drawn_table(backup: list[object]) -> None:
    screen = Screen(*backup)
    assert screen.end() == 0
    assert "web/disk0" in screen.text
    assert "━" in screen.text, "a bar"
    assert "100%" in screen.text
    assert "─" in screen.text, "the line under the head of the table"
    assert "web: restore point" in screen.text


def test_quiet_shows_no_bars(backup: list[object]) -> None:
    screen = Screen(*backup, "--quiet")
    assert screen.end() == 0
    assert "━" not in screen.text


def test_ctrl_c_gives_the_cursor_back(backup: list[object]) -> None:
    screen = Screen(*backup, "--throttle", "64KiB/s")
    screen.read_until("web/disk0")
    screen.type("\x03")
    assert screen.end() == 130
    assert "was interrupted; it has no restore point" in screen.text
    assert screen.text.rindex("\x1b[?25h") > screen.text.rindex("\x1b[?25l")


def test_ctrl_c_twice_gives_the_cursor_back_too(backup: list[object]) -> None:
    screen = Screen(*backup, "--throttle", "64KiB/s")
    screen.read_until("web/disk0")
    screen.type("\x03")
    screen.read_until("Once more ends at once")
    screen.type("\x03")
    assert screen.end() == 130
    assert screen.text.rindex("\x1b[?25h") > screen.text.rindex("\x1b[?25l")


def test_a_passphrase_is_asked_for_and_not_shown(command: Runner, tmp_path: Path) -> None:
    place = tmp_path / "asked"
    screen = Screen("repo", "init", place)
    screen.read_until("New passphrase: ")
    screen.type("correct horse\n")
    screen.read_until("Repeat for confirmation: ")
    screen.type("correct horse\n")
    assert screen.end() == 0
    assert "opened by passphrase" in screen.text
    assert "horse" not in screen.text

    screen = Screen("repo", "stats", place)
    screen.read_until("Passphrase of ")
    screen.type("correct horse\n")
    assert screen.end() == 0
    assert "encrypted:   yes" in screen.text

    screen = Screen("repo", "stats", place)
    screen.read_until("Passphrase of ")
    screen.type("wrong horse\n")
    assert screen.end() == 1
    assert "horse" not in screen.text
