"""``hypersdk repo gc``"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from hypersdk import collect_garbage
from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.keys import Unlock, key_options, repository_argument
from hypersdk.cli.parameters import DURATION
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    grace: timedelta
    dry_run: bool
    unlock: Unlock


@click.command("gc", cls=Command)
@repository_argument
@click.option(
    "--grace",
    type=DURATION,
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="How long unneeded packs wait before a later run deletes them; 0h: this run.",
)
@click.option("--dry-run", is_flag=True, help="Delete nothing; print what would be condemned.")
@key_options
@click.pass_obj
def gc(terminal: Terminal, /, **given: Any) -> None:
    """Give back the space of what no restore point needs.

    In two steps: packs are condemned now and deleted by a later run, so that backups which run at
    the same time lose nothing. A writer's key is enough.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    with options.unlock.open(terminal, options.repo) as repository:
        done = collect_garbage(repository, grace=options.grace, dry_run=options.dry_run)
    terminal.result({"dry_run": options.dry_run, **records.collection(done)})
    condemned = "Would condemn" if options.dry_run else "Condemned"
    terminal.line(
        f"{condemned} {words.count(done.condemned_packs, 'pack')} "
        f"({words.size(done.condemned_bytes)}), "
        f"copied {words.size(done.repacked_bytes)} out of them."
    )
    if not options.dry_run:
        terminal.line(
            f"Deleted {words.count(done.swept_packs, 'pack')} ({words.size(done.swept_bytes)}) "
            "condemned before."
        )
    if done.rescued_packs:
        terminal.line(f"Kept {words.count(done.rescued_packs, 'pack')} that are needed again.")
    if done.condemned_packs and options.grace and not options.dry_run:
        terminal.line(f"A run in {words.duration(options.grace.total_seconds())} can delete them.")
    if done.waiting_packs:
        reason = f", for {done.waiting_for}" if done.waiting_for else ""
        terminal.line(f"Waiting: {words.count(done.waiting_packs, 'pack')}{reason}.")
