"""``hyperctl watch``"""

from __future__ import annotations

import click

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.following import concluded, follow
from hypersdk.cli.hyperctl.session import Session, with_session


@click.command(cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]…")
@with_session
def watch(session: Session, ids: tuple[str, ...]) -> int:
    """Follow jobs until they end, with a bar for each.

    Without IDs: all that have not ended.

    Ends with 0 when all completed, with 1 when one failed, with 130 when one was cancelled.
    """
    if not ids:
        active = session.client.jobs.list(state=["pending", "running", "scheduled"], limit=100)
        ids = tuple(job.id for job in active)
    if not ids:
        session.terminal.note("No job is running or waiting.")
        session.terminal.result({"jobs": []})
        return 0
    return concluded(session, follow(session, ids))
