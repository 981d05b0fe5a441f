"""``hypersdk fleet snapshot``"""

from __future__ import annotations

from typing import Any

import click

from hypersdk import Action, BatchOptions
from hypersdk.cli.command import Command
from hypersdk.cli.fleet.batches import batch_options, options_of, run
from hypersdk.cli.terminal import Terminal


@click.command("snapshot", cls=Command)
@batch_options
@click.option("--name", metavar="NAME", required=True, help="The same for all instances.")
@click.option("--memory", is_flag=True, help="With the running state.")
@click.option("--quiesce", is_flag=True, help="The guest agents freeze the filesystems.")
@click.option("--description", default="", help="Kept with the snapshots.")
@click.pass_obj
def snapshot(
    terminal: Terminal, /, name: str, memory: bool, quiesce: bool, description: str, **given: Any
) -> None:
    """Have the hypervisors make a snapshot of each instance.

    Snapshots live on the hypervisor, with the disks; they are no backups.
    """
    batch = BatchOptions(snapshot=name, memory=memory, quiesce=quiesce, description=description)
    run(terminal, options_of(Action.SNAPSHOT, given, batch))
