"""The clock is set a day ahead and two days back while jobs run."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.app.daemons import Daemon, daemon, environment, until
from tests.daemon.clocks import Clock
from tests.daemon.scene import Site, backup, copying, ended, export, hyperctl, job

DAY = 86_400
#: Every minute.
CRON = "* * * * *"


def jobs_of(running: Daemon, schedule: str) -> list[str]:
    return [each["id"] for each in running.get("/v1/jobs")["items"] if each["schedule"] == schedule]


def next_run(running: Daemon) -> datetime:
    (schedule,) = running.get("/v1/schedules")["items"]
    return datetime.fromisoformat(schedule["next_run"])


def test_the_clock_itself(tmp_path: Path) -> None:
    """Otherwise the other test would show nothing."""
    clock = Clock(tmp_path / "clock")
    clock.set(-DAY)
    code = "import datetime, time; print(time.time()); print(datetime.datetime.now().timestamp())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=environment(tmp_path, **clock.variables),
    )
    assert all(abs(float(line) + DAY - time.time()) < 3600 for line in done.stdout.split())


def test_jobs_and_schedules_go_on(site: Site) -> None:
    site.instance("web", vda=2)
    site.instance("db", vda=2)
    out = site.folder / "out"
    clock = Clock(site.folder / "clock")
    slow = site.settings(budget="bandwidth: 1400KiB/s")
    with daemon(site.folder, settings=slow, **clock.variables) as running:
        hyperctl(running, "schedules", "create", "often", CRON, "--vm", "web", "-H", "lab",
                 "--repo", "main")  # fmt: skip
        first = backup(running, "db"), export(running, out, "db", format="raw")
        copying(running, *first)
        clock.set(DAY)
        for id in first:
            ended(running, id)
        # Moments of a day that never was are skipped; the next one is of the new time.
        ahead = datetime.now(UTC) + timedelta(seconds=DAY)
        until(lambda: next_run(running) > ahead - timedelta(minutes=1), "the plan of tomorrow")
        (schedule,) = running.get("/v1/schedules")["items"]
        assert len(jobs_of(running, schedule["id"])) <= 2

        second = backup(running, "db", full=True)
        copying(running, second)
        clock.set(-DAY)
        ended(running, second)
        until(
            lambda: next_run(running) < datetime.now(UTC) - timedelta(seconds=DAY - 120),
            "the plan of yesterday",
        )
        third = backup(running, "db")
        made = ended(running, third)
        assert made["run"] == 1
        # In the order in which they came, whatever the clock said.
        listed = [each["id"] for each in running.get("/v1/jobs")["items"] if not each["schedule"]]
        assert listed == [third, second, *reversed(first)]
        assert job(running, first[0])["state"] == "completed"
        assert running.process.poll() is None
        assert not running.said("the worker died and is begun again")
    assert len(site.points("db")) == 3
