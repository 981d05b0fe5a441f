"""``hyperctl logs``"""

from __future__ import annotations

import time
from collections import deque

import click

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.cli.hyperctl.showing import when
from hypersdk.client.jobs import ENDED
from hypersdk.contract.jobs import LogRecord

#: Seconds between two looks.
_EVERY = 0.5


@click.command(cls=Command)
@click.argument("id")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends.")
@click.option(
    "--tail", type=click.IntRange(0), default=50, show_default=True, help="Last lines; 0: all."
)
@with_session
def logs(session: Session, id: str, follow: bool, tail: int) -> None:
    """Print what a job says about itself."""
    jobs = session.client.jobs
    lines = list(deque(jobs.logs(id), maxlen=tail or None))
    shown = [*lines]
    _print(session, lines)
    while follow:
        ended = jobs.get(id).state in ENDED  # before looking: nothing comes after that
        more = list(jobs.logs(id, after=shown[-1].number if shown else 0))
        _print(session, more)
        shown += more
        if ended:
            break
        time.sleep(_EVERY)
    session.terminal.result({"logs": [line.model_dump(mode="json") for line in shown]})


def _print(session: Session, lines: list[LogRecord]) -> None:
    for line in lines:
        details = " ".join(f"{name}={value}" for name, value in line.details.items())
        session.terminal.line(
            f"{when(line.time)} {line.level:<7} {line.message} {details}".rstrip()
        )
