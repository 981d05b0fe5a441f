"""``hyperctl cancel``"""

from __future__ import annotations

import click

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.model.errors import HyperSDKError, PartialFailure


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="[ID]…")
@click.option("--id", "listed", metavar="ID,ID", default="", help="The same as arguments.")
@with_session
def cancel(session: Session, words: tuple[str, ...], listed: str) -> None:
    """Stop jobs: at once when they wait, else within two seconds."""
    ids = [*words, *(each.strip() for each in listed.split(",") if each.strip())]
    if not ids:
        raise click.UsageError("name at least one job: hyperctl cancel ID")
    failures: dict[str, HyperSDKError] = {}
    for id in ids:
        try:
            session.client.jobs.cancel(id)
            session.terminal.line(f"{id} cancelled")
        except HyperSDKError as error:
            failures[id] = error
    session.terminal.result({"cancelled": [id for id in ids if id not in failures]})
    if len(ids) == 1 and failures:
        raise failures[ids[0]]
    if failures:
        raise PartialFailure(f"{len(failures)} of {len(ids)} jobs were not cancelled", failures)
