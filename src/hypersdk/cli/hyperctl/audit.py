"""``hyperctl audit``"""

from __future__ import annotations

from itertools import islice

import click

from hypersdk.cli.hyperctl.command import Group
from hypersdk.cli.hyperctl.records import listed
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.model.errors import Damaged


@click.group(cls=Group)
def audit() -> None:
    """Who changed what."""


@audit.command("list")
@click.option("--user", default="")
@click.option("--action", default="", help="schedule.update, instance.start …")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@with_session
def list_(session: Session, user: str, action: str, limit: int) -> None:
    """List changes, newest first."""
    found = session.client.accounts.audit(user=user, action=action, limit=min(limit, 1000))
    listed(
        session,
        "entries",
        islice(found, limit),
        {
            "Number": lambda each: each.number,
            "Time": lambda each: each.time,
            "User": lambda each: each.user,
            "From": lambda each: each.origin,
            "Action": lambda each: each.action,
            "Subject": lambda each: each.subject,
            "Outcome": lambda each: each.outcome,
        },
    )


@audit.command()
@with_session
def verify(session: Session) -> None:
    """Check that no entry was changed, removed or moved."""
    found = session.client.accounts.verify_audit()
    session.terminal.result(found.model_dump(mode="json"))
    if not found.intact:
        raise Damaged(
            f"entry {found.broken} of the audit log is not as it was written",
            hint="Compare with an export of earlier: hyperctl audit export",
        )
    session.terminal.line(
        f"{found.head.number} entries are intact; the last is {found.head.digest}"
    )


@audit.command()
@with_session
def export(session: Session) -> None:
    """Print all entries, oldest first, a line of JSON each."""
    for line in session.client.accounts.export_audit():
        session.terminal.stdout.write(line + "\n")
