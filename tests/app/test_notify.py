from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hypersdk.app.notify import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(tmp_path / "notify"))
    listening.settimeout(10)
    return listening


def test_what_is_said_arrives(tmp_path: Path, systemd: socket.socket) -> None:
    with systemd:
        notifier = Notifier.of({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        notifier.ready("serving")
        assert systemd.recv(999).decode() == f"READY=1\nSTATUS=serving\nMAINPID={os.getpid()}"
        notifier.reloading()
        assert systemd.recv(999).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        notifier.more_time(1.5)
        assert systemd.recv(999) == b"EXTEND_TIMEOUT_USEC=1500000"
        notifier.status("busy")
        assert systemd.recv(999) == b"STATUS=busy"


def test_abstract_addresses() -> None:
    name = f"hypersdk-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(10)
        Notifier(f"@{name}").alive()
        assert listening.recv(999) == b"WATCHDOG=1"


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    Notifier.of({}).ready("serving")
    Notifier(str(tmp_path / "gone")).alive()


def test_signs_of_life_are_sent_in_time_by_whom_systemd_watches() -> None:
    assert Notifier.of({"WATCHDOG_USEC": "10000000"}).interval == 4.0
    other = {"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}
    assert Notifier.of(other).interval is None
    assert Notifier.of({"WATCHDOG_USEC": "0"}).interval is None
