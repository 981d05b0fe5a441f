"""``hyperctl status``"""

from __future__ import annotations

import click

from hypersdk.cli import words
from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.session import Session, with_session


@click.command(cls=Command)
@with_session
def status(session: Session) -> None:
    """Show whether the daemon runs, and what it does."""
    found = session.client.status()
    terminal = session.terminal
    terminal.result(found.model_dump(mode="json"))
    terminal.line(f"hypervisord {found.version} at {session.client.connection.url}")
    terminal.line(f"Status: running for {words.duration(found.uptime)}")
    terminal.line(f"Jobs: {sum(found.jobs.values())}")
    for state, number in found.jobs.items():
        terminal.line(f"  {state}: {number}")
