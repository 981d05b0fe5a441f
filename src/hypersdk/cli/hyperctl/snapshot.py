"""``hyperctl snapshot``"""

from __future__ import annotations

import click

from hypersdk.cli.hyperctl.command import Group
from hypersdk.cli.hyperctl.machines import instance_named
from hypersdk.cli.hyperctl.records import listed, shown
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.instances import SnapshotOrder

_HYPERVISOR = click.option("-H", "--hypervisor", default="", help="Of one hypervisor.")


@click.group(cls=Group)
def snapshot() -> None:
    """Points in time of an instance that its hypervisor keeps."""


@snapshot.command("list")
@click.argument("instance")
@_HYPERVISOR
@with_session
def list_(session: Session, instance: str, hypervisor: str) -> None:
    """List them, oldest first."""
    found = instance_named(session, instance, hypervisor)
    listed(
        session,
        "snapshots",
        session.client.instances.snapshots(found.hypervisor, found.name),
        {
            "Name": lambda each: each.name,
            "Created": lambda each: each.created,
            "Parent": lambda each: each.parent,
            "Current": lambda each: each.current,
            "State": lambda each: each.state,
            "Memory": lambda each: each.memory,
            "Description": lambda each: each.description,
        },
    )


@snapshot.command()
@click.argument("instance")
@click.argument("name")
@click.option("--description", default="")
@click.option("--memory", is_flag=True, help="With the running state.")
@click.option("--quiesce", is_flag=True, help="With filesystems frozen by the guest's agent.")
@_HYPERVISOR
@with_session
def create(
    session: Session,
    instance: str,
    name: str,
    description: str,
    memory: bool,
    quiesce: bool,
    hypervisor: str,
) -> None:
    """Make one."""
    found = instance_named(session, instance, hypervisor)
    order = SnapshotOrder(name=name, description=description, memory=memory, quiesce=quiesce)
    shown(session, session.client.instances.snapshot(found.hypervisor, found.name, order))


@snapshot.command()
@click.argument("instance")
@click.argument("name")
@_HYPERVISOR
@with_session
def revert(session: Session, instance: str, name: str, hypervisor: str) -> None:
    """Bring the instance back to one. What it wrote since is lost."""
    found = instance_named(session, instance, hypervisor)
    now = session.client.instances.revert(found.hypervisor, found.name, name)
    session.terminal.line(f"{now.hypervisor}/{now.name} {now.state}")
    session.terminal.result(now.model_dump(mode="json"))


@snapshot.command()
@click.argument("instance")
@click.argument("name")
@_HYPERVISOR
@with_session
def delete(session: Session, instance: str, name: str, hypervisor: str) -> None:
    """Remove one. The instance stays as it is."""
    found = instance_named(session, instance, hypervisor)
    session.client.instances.delete_snapshot(found.hypervisor, found.name, name)
    session.terminal.line(f"{name} deleted")
    session.terminal.result({"deleted": name})
