"""``hyperctl events``"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

from tests.api.serving import Daemon
from tests.cli.hyperctl.conftest import Control

PROGRAM = "from hypersdk.cli.hyperctl.main import main; main()"


def test_what_happened(daemon: Daemon, control: Control) -> None:
    daemon.services.events.tell("vm.started", "hypervisors/lab/instances/web", by="ann")
    daemon.services.events.tell("job.completed", "jobs/1")
    text = control("events", "-types", "vm.*,nothing").out.splitlines()[-1]
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d vm\.started {13}hypervisors/lab/instances/web by=ann", text
    )
    document = control("events", "-types", "vm.*, job.completed", "-json").json
    assert {event["name"] for event in document["events"]} >= {"vm.started", "job.completed"}
    assert control("events", "-since", "0s", "-types", "vm.*").out == ""


@pytest.mark.parametrize("since", ["yesterday", "5", "1w"])
def test_no_duration(control: Control, since: str) -> None:
    result = control("events", "-since", since, expect=2)
    assert result.err.startswith(f"hyperctl: '{since}' is no duration: write 90s, 15m, 1h or 7d\n")


@pytest.mark.parametrize("as_json", [False, True])
def test_following_them(daemon: Daemon, as_json: bool) -> None:
    events = daemon.services.events
    events.tell("vm.followed", "first")
    words = ["-daemon", daemon.url, "events", "-f", "-types", "vm.followed", "-since", "1m"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words, *(["-json"] if as_json else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        line = following.stdout.readline()
        events.tell("vm.followed", "second")
        while "second" not in line:
            line = following.stdout.readline()
            assert line, "it ended"
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=60)
    assert following.returncode == 130
    if as_json:
        assert json.loads(line)["subject"] == "second"
