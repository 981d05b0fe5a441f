"""``hyperctl job``"""

from __future__ import annotations

import json

import click

from hypersdk.cli.hyperctl.command import Group
from hypersdk.cli.hyperctl.records import listed
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.model.errors import NotFound


@click.group(cls=Group)
def job() -> None:
    """Steps with single jobs. They are listed by: hyperctl query."""


def _step(name: str, summary: str) -> None:
    @click.argument("id")
    @with_session
    def command(session: Session, id: str) -> None:
        done = getattr(session.client.jobs, name)(id)
        session.terminal.line(f"{id} {done.wish or done.state}")
        session.terminal.result(done.model_dump(mode="json"))

    job.command(name, help=summary)(command)


_step("pause", "Stop a job for now; it goes on from there.")
_step("resume", "Let a paused job go on.")
_step("retry", "Have a failed or cancelled job run again.")


@job.command()
@click.argument("id")
@click.argument("priority", type=click.IntRange(0, 100))
@with_session
def priority(session: Session, id: str, priority: int) -> None:
    """Set the priority of a job that waits: 0 to 100, greater ones first."""
    done = session.client.jobs.prioritise(id, priority)
    session.terminal.line(f"{id} has priority {done.priority}")
    session.terminal.result(done.model_dump(mode="json"))


@job.command()
@click.argument("id")
@with_session
def delete(session: Session, id: str) -> None:
    """Forget a job that ended, and its log."""
    session.client.jobs.delete(id)
    session.terminal.line(f"{id} deleted")
    session.terminal.result({"deleted": id})


@job.command()
@click.argument("name", required=False)
@with_session
def kinds(session: Session, name: str | None) -> None:
    """List the kinds of jobs; the JSON schemas of one that is named."""
    found = session.client.jobs.kinds()
    if name is None:
        listed(
            session,
            "kinds",
            found,
            {"Name": lambda each: each.name, "Summary": lambda each: each.summary},
        )
        return
    for each in found:
        if each.name == name:
            document = each.model_dump(mode="json")
            session.terminal.line(json.dumps(document, indent=2))
            session.terminal.result(document)
            return
    raise NotFound(f"there is no kind '{name}'", hint="List them: hyperctl job kinds")
