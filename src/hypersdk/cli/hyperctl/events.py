"""``hyperctl events``"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.records import text
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.cli.hyperctl.showing import when
from hypersdk.contract.estate import EventRecord

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command(cls=Command)
@click.option("--since", default="1h", show_default=True, help="How far back: 90s, 15m, 1h, 7d.")
@click.option("--types", default="", metavar="NAME,NAME", help="Names or groups: job.*, vm.*")
@click.option("-f", "--follow", is_flag=True, help="Then go on as they happen.")
@with_session
def events(session: Session, since: str, types: str, follow: bool) -> None:
    """What happened: jobs, instances, schedules, hypervisors.

    With --follow and --json: a document on each line.
    """
    begin = datetime.now(UTC) - timedelta(seconds=_seconds(since))
    names = [each.strip() for each in types.split(",") if each.strip()]
    log = session.client.events
    found = list(log.past(since=begin, types=names, limit=1000))
    if not follow:
        session.terminal.result({"events": [event.model_dump(mode="json") for event in found]})
    last = None
    for event in found:
        last = _said(session, event, follow) or last
    while follow:  # a stream ends after an hour
        for event in log.follow(types=names, after=last):
            last = _said(session, event, follow) or last


def _said(session: Session, event: EventRecord, follow: bool) -> int | None:
    """Its number."""
    terminal = session.terminal
    if follow and terminal.json:
        terminal.stdout.write(event.model_dump_json() + "\n")
    else:
        terminal.line(
            f"{when(event.time)} {event.name:<22} {event.subject} {text(event.data)}".rstrip()
        )
    terminal.stdout.flush()
    return event.number


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if not found:
        raise click.UsageError(f"'{text}' is no duration: write 90s, 15m, 1h or 7d")
    return int(found[1]) * _UNITS[found[2]]
