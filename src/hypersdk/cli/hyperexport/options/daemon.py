"""Leaving the work to the daemon, and looking at what it does."""

from __future__ import annotations

from dataclasses import dataclass

import click

from hypersdk import InvalidInput
from hypersdk.cli.hyperexport.options.values import Given, Option, refuse
from hypersdk.cli.parameters import Words

STATES = ("all", "scheduled", "pending", "running", "paused", "completed", "failed", "cancelled")

OPTIONS: tuple[Option, ...] = (
    click.option(
        "--use-daemon", is_flag=True, help="Submit the export to hypervisord; it does the work."
    ),
    click.option(
        "--daemon-url",
        metavar="URL",
        help="Where it is.  [default: HYPERVISORD_URL, or http://localhost:8080]",
    ),
    click.option("--watch", is_flag=True, help="With --use-daemon: follow the job to its end."),
    click.option(
        "--daemon-schedule",
        metavar="NAME:CRON",
        help="Have the daemon do this export again and again: 'nightly:0 2 * * *'.",
    ),
    click.option("--daemon-watch", metavar="ID", help="Follow a job of the daemon."),
    click.option(
        "--daemon-list",
        type=Words(STATES),
        metavar="STATE",
        help="List jobs of the daemon: all, or those in a state.",
    ),
    click.option("--daemon-status", is_flag=True, help="Show whether the daemon runs."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """What was said about it."""

    #: Empty: of the environment.
    url: str = ""
    watch: bool = False
    #: Name and cron line; empty: now, once.
    schedule: str = ""
    cron: str = ""


def wanted(given: Given) -> bool:
    """Whether the export is the daemon's work."""
    return bool(given["use_daemon"] or given["daemon_schedule"])


def daemon(given: Given) -> Daemon:
    """Raises InvalidInput for what contradicts itself."""
    refuse(
        given["watch"] and not given["use_daemon"],
        "--watch follows a job of the daemon",
        "Add --use-daemon; or follow one that runs: --daemon-watch ID",
    )
    schedule, cron = "", ""
    if text := given["daemon_schedule"]:
        schedule, colon, cron = (part.strip() for part in text.partition(":"))
        if not (schedule and colon and cron):
            raise InvalidInput(
                f"'{text}' is no NAME:CRON",
                hint="Write it like --daemon-schedule 'nightly:0 2 * * *'",
            )
    return Daemon(url=given["daemon_url"] or "", watch=given["watch"], schedule=schedule, cron=cron)
