"""``hyperctl list``"""

from __future__ import annotations

import click

from hypersdk.cli import words
from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.records import listed
from hypersdk.cli.hyperctl.session import Session, with_session


@click.command("list", cls=Command)
@click.option("--filter", "name", default="", help="Names with this text in them, or web-*.")
@click.option("-H", "--hypervisor", default="", help="Of one hypervisor.")
@click.option("--state", default="", help="running, stopped, paused …")
@click.option("--refresh", is_flag=True, help="Ask the hypervisors, whatever is known.")
@with_session
def list_(session: Session, name: str, hypervisor: str, state: str, refresh: bool) -> None:
    """List the instances of all hypervisors."""
    found = session.client.instances.list(
        name=name, hypervisor=hypervisor, state=state, refresh=refresh or None
    )
    listed(
        session,
        "instances",
        found,
        {
            "Name": lambda each: each.name,
            "Hypervisor": lambda each: each.hypervisor,
            "State": lambda each: each.state,
            "vCPUs": lambda each: each.vcpus,
            "Memory": lambda each: words.size(each.memory),
            "Disks": lambda each: words.size(sum(disk.size for disk in each.disks)),
            "Folder": lambda each: each.folder,
        },
    )
