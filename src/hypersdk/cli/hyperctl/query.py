"""``hyperctl query``"""

from __future__ import annotations

from itertools import islice

import click

from hypersdk.cli.hyperctl import showing
from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.records import fields
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.jobs import JobRecord


@click.command(cls=Command)
@click.option("--all", "every", is_flag=True, help="All jobs, not only the newest.")
@click.option("--id", "ids", metavar="ID,ID", help="These jobs.")
@click.option("--status", "states", metavar="STATE,STATE", help="Those in one of these states.")
@click.option("--kind", help="Those of one kind: backup, export …")
@click.option("--text", help="Those with this text in name or request.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@with_session
def query(
    session: Session,
    every: bool,
    ids: str | None,
    states: str | None,
    kind: str | None,
    text: str | None,
    limit: int,
) -> None:
    """List jobs, newest first; one job is shown in full."""
    if ids:
        found = [session.client.jobs.get(id) for id in _listed(ids)]
    else:
        filters = {"state": _listed(states or ""), "kind": kind, "text": text}
        listed = session.client.jobs.list(**filters, limit=1000 if every else min(limit, 1000))
        found = list(listed if every else islice(listed, limit))
    terminal = session.terminal
    terminal.result({"jobs": [job.model_dump(mode="json") for job in found]})
    terminal.table(showing.table(found, terminal))
    if ids and len(found) == 1:
        _in_full(session, found[0])
    if not found:
        terminal.note("There are no such jobs.")


def _in_full(session: Session, job: JobRecord) -> None:
    terminal = session.terminal
    terminal.line()
    terminal.line(f"Job ID: {job.id}")
    terminal.line(f"Status: {job.state}")
    for title, text in (
        ("Phase", showing.phase(job)),
        ("Progress", showing.amounts(job)),
        ("Worker", job.worker),
        ("Owner", job.owner),
        ("Run", str(job.run)),
    ):
        if text:
            terminal.line(f"{title}: {text}")
    if job.error is not None:
        terminal.line(f"Error: {job.error.message}")
        if job.error.hint:
            terminal.line(f"  {job.error.hint}")
    if job.result:
        terminal.line()
        fields(session, job.result)


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
