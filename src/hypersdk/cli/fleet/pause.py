"""``hypersdk fleet pause``"""

from __future__ import annotations

from typing import Any

import click

from hypersdk import Action
from hypersdk.cli.command import Command
from hypersdk.cli.fleet.batches import batch_options, options_of, run
from hypersdk.cli.terminal import Terminal


@click.command("pause", cls=Command)
@batch_options
@click.pass_obj
def pause(terminal: Terminal, /, **given: Any) -> None:
    """Halt the processors of running instances; memory and devices stay."""
    run(terminal, options_of(Action.PAUSE, given))
