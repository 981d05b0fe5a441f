"""``hyperctl schedules``"""

from __future__ import annotations

from typing import Any

import click

from hypersdk.cli.hyperctl.command import Group
from hypersdk.cli.hyperctl.documents import mapping
from hypersdk.cli.hyperctl.jobwork import told
from hypersdk.cli.hyperctl.machines import instance_named
from hypersdk.cli.hyperctl.records import listed, shown
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.jobs import NewJobRecord, NewScheduleRecord


@click.group(cls=Group)
def schedules() -> None:
    """Jobs that begin by themselves."""


@schedules.command("list")
@with_session
def list_(session: Session) -> None:
    """List them. Ids and names can be given to the other commands."""
    listed(
        session,
        "schedules",
        session.client.schedules.list(),
        {
            "ID": lambda each: each.id,
            "Name": lambda each: each.name,
            "Cron": lambda each: each.cron,
            "Zone": lambda each: each.zone,
            "Kind": lambda each: each.job.kind,
            "Enabled": lambda each: each.enabled,
            "Next": lambda each: each.next_run,
            "Last": lambda each: each.last_run,
            "Skipped": lambda each: each.skipped,
        },
    )


@schedules.command()
@click.argument("id")
@with_session
def show(session: Session, id: str) -> None:
    """Show one, with its next moments."""
    shown(session, session.client.schedules.get(id))
    for moment in session.client.schedules.preview(id).moments:
        session.terminal.line(f"next: {moment:%Y-%m-%d %H:%M %Z}")


@schedules.command()
@click.argument("name", required=False)
@click.argument("cron", required=False)
@click.option("--vm", default="", help="Export this machine (its path or name).")
@click.option("--output", default="", help="Folder on the worker's host for the export.")
@click.option("-H", "--hypervisor", default="", help="Of one hypervisor, when several have it.")
@click.option("--repo", "repository", default="", help="Back up into this repository instead.")
@click.option("--zone", default="UTC", show_default=True, help="Time zone of the cron fields.")
@click.option("--file", "file", default="", help="JSON or YAML of a whole schedule instead.")
@with_session
def create(
    session: Session,
    name: str | None,
    cron: str | None,
    vm: str,
    output: str,
    hypervisor: str,
    repository: str,
    zone: str,
    file: str,
) -> None:
    """Make one.

    hyperctl schedules create nightly "0 2 * * *" --vm web --repo main
    """
    new: NewScheduleRecord | dict[str, Any]
    if file:
        new = mapping(file)
    elif not (name and cron and vm and (output or repository)):
        raise click.UsageError("it needs NAME CRON --vm and --output or --repo; or --file")
    else:
        found = instance_named(session, vm, hypervisor)
        request = {"hypervisor": found.hypervisor, "instance": found.name}
        more = {"repository": repository} if repository else {"output": output}
        kind = "backup" if repository else "export"
        job = NewJobRecord(kind=kind, request={**request, **more})
        new = NewScheduleRecord(name=name, cron=cron, zone=zone, job=job)
    made = session.client.schedules.create(new)
    session.terminal.line(f"schedule-created: {made.name}")
    shown(session, made)


def _one(name: str, done: str, summary: str) -> click.Command:
    @click.argument("id")
    @with_session
    def command(session: Session, id: str) -> None:
        changed = getattr(session.client.schedules, name)(id)
        session.terminal.line(f"{id} {done}")
        session.terminal.result(changed.model_dump(mode="json") if changed else {"deleted": id})

    return schedules.command(name, help=summary)(command)


_one("enable", "enabled", "Let it begin jobs.")
_one("disable", "disabled", "Keep it, but let it begin no jobs.")
_one("delete", "deleted", "Forget it. Jobs that it began go on.")


@schedules.command()
@click.argument("id")
@click.option("--wait", is_flag=True, help="Follow the job; its end is the exit status.")
@with_session
def trigger(session: Session, id: str, wait: bool) -> int:
    """Begin its job now."""
    done = session.client.schedules.trigger(id)
    return told(session, done.id, new=done.new, wait=wait)
