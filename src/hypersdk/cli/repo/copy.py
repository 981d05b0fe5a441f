"""``hypersdk repo copy``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from hypersdk import copy_repository
from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.keys import Unlock, destination_key_options, key_options, repository_argument
from hypersdk.cli.progress import watching
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    destination: str
    instance: str | None
    unlock: Unlock
    unlock_to: Unlock


@click.command("copy", cls=Command)
@repository_argument
@click.argument("destination")
@click.option("--instance", metavar="NAME", help="Only restore points of this instance.")
@key_options
@destination_key_options
@click.pass_obj
def copy(terminal: Terminal, /, **given: Any) -> None:
    """Bring all restore points that the destination lacks.

    An empty destination becomes a replica, with the same keys; what is stored is moved as it is.
    A repository with keys of its own gets the points read and stored anew.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    with (
        options.unlock.open(terminal, options.repo) as repository,
        cancelling(terminal) as cancel,
        watching(terminal) as watch,
    ):
        done = copy_repository(
            repository,
            options.destination,
            instance=options.instance,
            key=options.unlock_to.key(),
            cache=terminal.settings.cache_dir,
            reporter=watch,
            cancel=cancel,
        )
    terminal.result({"destination": options.destination, **records.copied(done)})
    terminal.line(
        f"Copied {words.count(done.points, 'restore point')}, {words.size(done.copied)}, to "
        f"{options.destination} ({done.kind}) in {words.duration(done.seconds)}."
    )
