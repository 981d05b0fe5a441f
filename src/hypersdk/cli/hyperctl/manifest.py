"""``hyperctl manifest`` and ``hyperctl workflow``: artifact manifests, and work made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hypersdk.cli.hyperctl.command import Command, Group
from hypersdk.cli.hyperctl.documents import mapping
from hypersdk.cli.hyperctl.following import concluded, follow
from hypersdk.cli.hyperctl.records import listed, shown
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.model.errors import InvalidInput


@click.group(cls=Group)
def manifest() -> None:
    """Artifact manifests (version 1.0), as exports write them."""


@manifest.command()
@click.argument("file", required=False, default="")
@click.option("--file", "named", default="", help="The same as the argument.")
@with_session
def validate(session: Session, file: str, named: str) -> None:
    """Check one. Ends with 2 when it is not valid."""
    body = _manifest(_file(file, named))
    found = session.client.call("known_validate_manifest", body=body)
    session.terminal.result(found.model_dump(mode="json"))
    if not found.valid:
        raise InvalidInput(f"{file or named} is not valid", hint="\n".join(found.errors))
    session.terminal.line(f"{file or named} is valid")


@manifest.command()
@click.argument("file", required=False, default="")
@click.option("--file", "named", default="", help="The same as the argument.")
@click.option("-H", "--hypervisor", default="", help="Define its machine there; else: convert.")
@click.option("--wait", is_flag=True, help="Follow the jobs; the worst is the exit status.")
@with_session
def submit(session: Session, file: str, named: str, hypervisor: str, wait: bool) -> int:
    """Convert its disks, or bring its machine to a hypervisor, as jobs."""
    body = {"manifest": _manifest(_file(file, named)), "hypervisor": hypervisor}
    done = session.client.call("known_submit_manifest", body=body)
    for id in done.job_ids:
        session.terminal.line(f"Job ID: {id}")
    session.terminal.result(done.model_dump(mode="json"))
    return concluded(session, follow(session, done.job_ids)) if wait else 0


def _file(argument: str, named: str) -> str:
    if bool(argument) == bool(named):
        raise click.UsageError("name one file")
    return argument or named


def _manifest(file: str) -> dict[str, Any]:
    """Paths of its disks go from its folder, which the daemon does not know."""
    found = mapping(file)
    disks = found.get("disks")
    if file != "-" and isinstance(disks, list):
        folder = Path(file).absolute().parent
        found["disks"] = [
            {**disk, "local_path": str(folder / str(disk["local_path"]))}
            if isinstance(disk, dict) and disk.get("local_path")
            else disk
            for disk in disks
        ]
    return found


@click.command(cls=Command)
@click.option(
    "--op",
    type=click.Choice(["status", "list", "queue", "watch"]),
    default="status",
    show_default=True,
)
@with_session
def workflow(session: Session, op: str) -> int:
    """Conversions and imports: how many wait, run, and ended today."""
    if op == "status":
        shown(session, session.client.call("known_workflow_status"))
        return 0
    if op == "watch":
        active = [each.id for each in session.client.call("known_workflow_active").jobs]
        return concluded(session, follow(session, active) if active else ())
    query = {"status": "pending"} if op == "queue" else {}
    found = session.client.call("known_workflow_jobs", query=query).jobs
    listed(
        session,
        "jobs",
        found,
        {
            "ID": lambda each: each.id,
            "Name": lambda each: each.name,
            "Stage": lambda each: each.stage,
            "Progress": lambda each: each.progress,
            "Status": lambda each: each.status,
        },
    )
    return 0
