"""Commands that submit a job, and may wait for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from hypersdk.cli.hyperctl.following import concluded, follow
from hypersdk.cli.hyperctl.session import Session

F = TypeVar("F", bound=Callable[..., Any])


def job_options(command: F) -> F:
    """``--wait``, ``--priority``, ``--job-name``."""
    for option in (
        click.option("--wait", is_flag=True, help="Follow it; its end is the exit status."),
        click.option("--priority", type=click.IntRange(0, 100), default=50, show_default=True),
        click.option("--job-name", default="", help="For people; default: kind and subject."),
    ):
        command = option(command)
    return command


def submitted(
    session: Session,
    kind: str,
    request: Mapping[str, Any],
    *,
    wait: bool,
    priority: int = 50,
    job_name: str = "",
) -> int:
    """Submit it; the exit status of the command."""
    given = {name: value for name, value in request.items() if value not in (None, "", [], {}, ())}
    outcome = session.client.jobs.submit(kind, given, priority=priority, name=job_name)
    return told(session, outcome.id, new=outcome.new, wait=wait)


def told(session: Session, id: str, *, wait: bool, new: bool = True) -> int:
    """``Job ID: …``, and what became of it when it is waited for."""
    terminal = session.terminal
    terminal.line(f"Job ID: {id}")
    terminal.result({"job_id": id, "new": new})
    if not new:
        terminal.note("The same job is active already; this is its id.")
    if not wait:
        terminal.note(f"Follow it with: hyperctl watch {id}")
        return 0
    return concluded(session, follow(session, [id]))
