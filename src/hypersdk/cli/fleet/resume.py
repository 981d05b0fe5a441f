"""``hypersdk fleet resume``"""

from __future__ import annotations

from typing import Any

import click

from hypersdk import Action
from hypersdk.cli.command import Command
from hypersdk.cli.fleet.batches import batch_options, options_of, run
from hypersdk.cli.terminal import Terminal


@click.command("resume", cls=Command)
@batch_options
@click.pass_obj
def resume(terminal: Terminal, /, **given: Any) -> None:
    """Let paused instances run on."""
    run(terminal, options_of(Action.RESUME, given))
