"""``hypersdk fleet stop``"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from hypersdk import Action, BatchOptions
from hypersdk.cli.command import Command
from hypersdk.cli.fleet.batches import batch_options, options_of, run
from hypersdk.cli.parameters import DURATION
from hypersdk.cli.terminal import Terminal


@click.command("stop", cls=Command)
@batch_options
@click.option("--force", is_flag=True, help="Cut the power instead of asking the guests.")
@click.option(
    "--timeout",
    type=DURATION,
    metavar="DURATION",
    default="60s",
    show_default=True,
    help="How long a guest may take to power down. Nothing is cut off then.",
)
@click.pass_obj
def stop(terminal: Terminal, /, force: bool, timeout: timedelta, **given: Any) -> None:
    """Ask guests to power down, and wait until they have."""
    batch = BatchOptions(force=force, timeout=timeout.total_seconds())
    run(terminal, options_of(Action.STOP, given, batch))
