"""``hyperctl webhooks``"""

from __future__ import annotations

import click

from hypersdk.cli.hyperctl.command import Group
from hypersdk.cli.hyperctl.records import listed, shown
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.estate import NewWebhook


@click.group(cls=Group)
def webhooks() -> None:
    """Whom the daemon tells of events."""


@webhooks.command("list")
@with_session
def list_(session: Session) -> None:
    """List them."""
    listed(
        session,
        "webhooks",
        session.client.webhooks.list(),
        {
            "ID": lambda each: each.id,
            "URL": lambda each: each.url,
            "Events": lambda each: each.events or "all",
            "Enabled": lambda each: each.enabled,
        },
    )


@webhooks.command()
@click.argument("url")
@click.argument("events", nargs=-1)
@click.option("--secret", default="", help="Reference to the secret that signs; else one is made.")
@with_session
def add(session: Session, url: str, events: tuple[str, ...], secret: str) -> None:
    """Add one.

    hyperctl webhooks add https://chat.example/hook 'job.*' backup.failed

    The secret by which the other end knows that we wrote is shown once, here.
    """
    shown(
        session,
        session.client.webhooks.create(NewWebhook(url=url, events=list(events), secret=secret)),
    )


@webhooks.command()
@click.argument("id")
@with_session
def delete(session: Session, id: str) -> None:
    """Remove one."""
    session.client.webhooks.delete(id)
    session.terminal.line(f"{id} deleted")
    session.terminal.result({"deleted": id})


@webhooks.command()
@click.argument("id")
@with_session
def test(session: Session, id: str) -> None:
    """Send it a test event."""
    shown(session, session.client.webhooks.test(id))


@webhooks.command()
@click.argument("id")
@click.option("--state", default="", help="waiting, delivered or dead.")
@with_session
def deliveries(session: Session, id: str, state: str) -> None:
    """What was sent to it, newest first."""
    listed(
        session,
        "deliveries",
        session.client.webhooks.deliveries(id, state=state),
        {
            "ID": lambda each: each.id,
            "Event": lambda each: each.event,
            "State": lambda each: each.state,
            "Attempts": lambda each: each.attempts,
            "Created": lambda each: each.created,
            "Said": lambda each: each.said,
        },
    )


@webhooks.command()
@click.argument("id")
@click.argument("delivery")
@with_session
def redeliver(session: Session, id: str, delivery: str) -> None:
    """Send a delivery again, also a dead one."""
    shown(session, session.client.webhooks.redeliver(id, delivery))
