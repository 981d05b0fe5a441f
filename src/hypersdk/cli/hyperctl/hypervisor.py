"""``hyperctl hypervisor``"""

from __future__ import annotations

import click

from hypersdk.cli.hyperctl.command import Group
from hypersdk.cli.hyperctl.records import listed, pairs, shown
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.estate import BudgetRecord, NewHypervisor


@click.group(cls=Group)
def hypervisor() -> None:
    """Hypervisors that the daemon knows by name."""


@hypervisor.command("list")
@with_session
def list_(session: Session) -> None:
    """List them."""
    listed(
        session,
        "hypervisors",
        session.client.hypervisors.list(),
        {
            "Name": lambda each: each.name,
            "URL": lambda each: each.url,
            "Queue": lambda each: each.queue,
            "Tenant": lambda each: each.tenant,
            "Description": lambda each: each.description,
        },
    )


@hypervisor.command()
@click.argument("name")
@with_session
def show(session: Session, name: str) -> None:
    """Show one."""
    shown(session, session.client.hypervisors.get(name))


@hypervisor.command()
@click.argument("name")
@click.argument("url")
@click.option("--queue", default="default", help="Queue of the site whose workers reach it.")
@click.option("--jobs", type=click.IntRange(1), help="Jobs at once on it.")
@click.option("--bandwidth", type=click.IntRange(1), help="Bytes per second of all its jobs.")
@click.option("--starts", type=click.IntRange(1), help="Jobs begun per minute.")
@click.option("--description", default="")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE")
@with_session
def add(
    session: Session,
    name: str,
    url: str,
    queue: str,
    jobs: int | None,
    bandwidth: int | None,
    starts: int | None,
    description: str,
    tags: tuple[str, ...],
) -> None:
    """Make one known.

    hyperctl hypervisor add lab libvirt+qemu:///system

    A password is named by a reference in the URL: …?password-from=env:NAME
    """
    new = NewHypervisor(
        name=name,
        url=url,
        queue=queue,
        budget=BudgetRecord(jobs=jobs, bandwidth=bandwidth, starts=starts),
        description=description,
        tags=pairs(tags, "--tag"),
    )
    shown(session, session.client.hypervisors.create(new))


@hypervisor.command()
@click.argument("name")
@with_session
def delete(session: Session, name: str) -> None:
    """Forget one. Nothing on it is touched."""
    session.client.hypervisors.delete(name)
    session.terminal.line(f"{name} deleted")
    session.terminal.result({"deleted": name})


@hypervisor.command()
@click.argument("name")
@with_session
def health(session: Session, name: str) -> None:
    """Ask one whether it is there, and what it has room for.

    NAME may be a URL.
    """
    hypervisors = session.client.hypervisors
    shown(session, hypervisors.test(name) if "://" in name else hypervisors.health(name))
