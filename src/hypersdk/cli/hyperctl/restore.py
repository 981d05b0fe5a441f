"""``hyperctl restore``"""

from __future__ import annotations

import click

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.jobwork import job_options, submitted
from hypersdk.cli.hyperctl.records import pairs
from hypersdk.cli.hyperctl.session import Session, with_session


@click.command(cls=Command)
@click.argument("instance")
@click.option("--repo", "--repository", "repository", required=True, help="Name of the repository.")
@click.option("--point", default="latest", show_default=True, help="Id of the restore point.")
@click.option("--to-hypervisor", default="", help="Make it an instance there.")
@click.option("--to-folder", default="", help="Write its disks to a folder of the worker's host.")
@click.option("--as", "new_name", default="", metavar="NAME", help="Name of the new instance.")
@click.option("--in-place", is_flag=True, help="Write what differs into the stopped instance.")
@click.option("--format", "format", default="", help="Of files: qcow2, raw …")
@click.option("--start", is_flag=True)
@click.option("--keep-mac", is_flag=True)
@click.option("--map-network", "networks", multiple=True, metavar="OLD=NEW")
@click.option("--pool", default="")
@click.option("--overwrite", is_flag=True)
@job_options
@with_session
def restore(
    session: Session,
    /,
    instance: str,
    networks: tuple[str, ...],
    wait: bool,
    priority: int,
    job_name: str,
    **given: object,
) -> int:
    """Restore an instance from a repository.

    hyperctl restore web --repo main --to-hypervisor lab --as web-2
    """
    request = {
        "instance": instance,
        "networks": pairs(networks, "--map-network"),
        **{name: value or None for name, value in given.items()},
    }
    return submitted(session, "restore", request, wait=wait, priority=priority, job_name=job_name)
