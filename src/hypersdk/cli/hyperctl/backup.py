"""``hyperctl backup``"""

from __future__ import annotations

import click

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.jobwork import job_options, submitted
from hypersdk.cli.hyperctl.records import pairs
from hypersdk.cli.hyperctl.session import Session, with_session


@click.command(cls=Command)
@click.argument("instance")
@click.option("-H", "--hypervisor", required=True, help="Name of the hypervisor.")
@click.option("--repo", "--repository", "repository", required=True, help="Name of the repository.")
@click.option("--full", is_flag=True, help="Read everything, whatever is said to have changed.")
@click.option("--exclude", multiple=True, metavar="DISK")
@click.option("--throttle", type=click.IntRange(1), help="Bytes per second.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE")
@job_options
@with_session
def backup(
    session: Session,
    instance: str,
    hypervisor: str,
    repository: str,
    full: bool,
    exclude: tuple[str, ...],
    throttle: int | None,
    tags: tuple[str, ...],
    wait: bool,
    priority: int,
    job_name: str,
) -> int:
    """Back up an instance.

    hyperctl backup web -H lab --repo main --wait
    """
    request = {
        "hypervisor": hypervisor,
        "instance": instance,
        "repository": repository,
        "full": full or None,
        "exclude": list(exclude),
        "throttle": throttle,
        "tags": pairs(tags, "--tag"),
    }
    return submitted(session, "backup", request, wait=wait, priority=priority, job_name=job_name)
