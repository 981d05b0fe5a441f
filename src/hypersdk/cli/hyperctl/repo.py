"""``hyperctl repo``"""

from __future__ import annotations

from typing import Any

import click

from hypersdk.cli import words
from hypersdk.cli.hyperctl.command import Group
from hypersdk.cli.hyperctl.jobwork import told
from hypersdk.cli.hyperctl.records import listed, pairs, shown
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.estate import NewRepository, PruneOrder, VerifyOrder

_WAIT = click.option("--wait", is_flag=True, help="Follow the job; its end is the exit status.")


@click.group(cls=Group)
def repo() -> None:
    """Repositories that the daemon knows by name."""


@repo.command("list")
@with_session
def list_(session: Session) -> None:
    """List them."""
    listed(
        session,
        "repositories",
        session.client.repositories.list(),
        {
            "Name": lambda each: each.name,
            "Location": lambda each: each.location,
            "Tenant": lambda each: each.tenant,
            "Description": lambda each: each.description,
        },
    )


@repo.command()
@click.argument("name")
@with_session
def show(session: Session, name: str) -> None:
    """Show one, with what is stored in it."""
    shown(session, session.client.repositories.get(name))
    shown(session, session.client.repositories.statistics(name))


@repo.command()
@click.argument("name")
@click.argument("location")
@click.option("--key", default="", help="Reference to its passphrase: env:NAME, file:PATH …")
@click.option("--key-file", default="", help="Path of a key file on the workers' hosts.")
@click.option("--identity", default="", help="Path of an identity file on the workers' hosts.")
@click.option("--description", default="")
@with_session
def add(session: Session, /, **given: Any) -> None:
    """Make one known.

    hyperctl repo add main /srv/backups --key file:/etc/hypersdk/key
    """
    shown(session, session.client.repositories.create(NewRepository(**given)))


@repo.command()
@click.argument("name")
@with_session
def delete(session: Session, name: str) -> None:
    """Forget one. What is stored in it stays."""
    session.client.repositories.delete(name)
    session.terminal.line(f"{name} deleted; what is stored in it is untouched")
    session.terminal.result({"deleted": name})


@repo.command()
@click.argument("name")
@click.option("--instance", default="", help="Of one instance.")
@with_session
def points(session: Session, name: str, instance: str) -> None:
    """List its restore points, newest first."""
    listed(
        session,
        "points",
        session.client.repositories.points(name, instance=instance),
        {
            "ID": lambda each: each.id,
            "Instance": lambda each: each.instance,
            "Time": lambda each: each.time,
            "Size": lambda each: words.size(each.size),
            "Consistency": lambda each: each.consistency,
        },
    )


@repo.command()
@click.argument("name")
@click.option(
    "--level",
    type=click.Choice(["stored", "content"]),
    help="Whether bytes are as they were stored; or also read and compared with their ids.",
)
@click.option("--instance", default="")
@_WAIT
@with_session
def verify(session: Session, name: str, level: str | None, instance: str, wait: bool) -> int:
    """Check one, as a job."""
    order = VerifyOrder(**_given(level=level, instance=instance))
    done = session.client.repositories.verify(name, order)
    return told(session, done.id, new=done.new, wait=wait)


@repo.command()
@click.argument("name")
@click.option("--keep", multiple=True, required=True, metavar="RULE=NUMBER", help="daily=7 …")
@click.option("--instance", default="")
@click.option("--dry-run", is_flag=True)
@_WAIT
@with_session
def prune(
    session: Session, name: str, keep: tuple[str, ...], instance: str, dry_run: bool, wait: bool
) -> int:
    """Remove points that no rule keeps, as a job.

    hyperctl repo prune main --keep daily=7 --keep weekly=4
    """
    rules = {
        rule: int(number) if number.isdigit() else number
        for rule, number in pairs(keep, "--keep").items()
    }
    order = PruneOrder(keep=rules, **_given(instance=instance, dry_run=dry_run))
    done = session.client.repositories.prune(name, order)
    return told(session, done.id, new=done.new, wait=wait)


@repo.command()
@click.argument("name")
@_WAIT
@with_session
def gc(session: Session, name: str, wait: bool) -> int:
    """Reclaim what no point needs, as a job."""
    done = session.client.repositories.gc(name)
    return told(session, done.id, new=done.new, wait=wait)


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
