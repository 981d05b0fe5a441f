"""``hyperctl list``"""

from __future__ import annotations

from typing import Any

import click

from hypersdk.cli import words
from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.records import listed
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.client.estate import Instances
from hypersdk.contract.instances import InstanceRecord
from hypersdk.model.errors import HyperSDKError, HypervisorUnreachable, PartialFailure


@click.command("list", cls=Command)
@click.option("--filter", "name", default="", help="Names with this text in them, or web-*.")
@click.option("-H", "--hypervisor", default="", help="Of one hypervisor.")
@click.option("--state", default="", help="running, stopped, paused …")
@click.option("--refresh", is_flag=True, help="Ask the hypervisors, whatever is known.")
@with_session
def list_(session: Session, name: str, hypervisor: str, state: str, refresh: bool) -> None:
    """List the instances of all hypervisors."""
    filters = {"name": name, "hypervisor": hypervisor, "state": state, "refresh": refresh or None}
    found, unreachable = _all(session.client.instances, filters)
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
    if unreachable:
        known = len(list(session.client.hypervisors.list()))
        failures: dict[str, HyperSDKError] = {
            place: HypervisorUnreachable(said) for place, said in unreachable.items()
        }
        raise PartialFailure(f"{len(failures)} of {known} hypervisors could not be asked", failures)


def _all(
    instances: Instances, filters: dict[str, Any]
) -> tuple[list[InstanceRecord], dict[str, str]]:
    """All instances, and why those of some hypervisors are missing."""
    page = instances.page(**filters)
    found, unreachable = [*page.items], dict(page.unreachable)
    while page.next is not None:
        page = instances.page(**filters, cursor=page.next)
        found += page.items
        unreachable |= page.unreachable
    return found, unreachable
