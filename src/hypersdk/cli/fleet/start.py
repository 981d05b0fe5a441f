"""``hypersdk fleet start``"""

from __future__ import annotations

from typing import Any

import click

from hypersdk import Action, BatchOptions
from hypersdk.cli.command import Command
from hypersdk.cli.fleet.batches import batch_options, options_of, run
from hypersdk.cli.terminal import Terminal


@click.command("start", cls=Command)
@batch_options
@click.option("--paused", is_flag=True, help="With the processors halted until they are resumed.")
@click.pass_obj
def start(terminal: Terminal, /, paused: bool, **given: Any) -> None:
    """Start instances; those that run already are left as they are."""
    run(terminal, options_of(Action.START, given, BatchOptions(paused=paused)))
