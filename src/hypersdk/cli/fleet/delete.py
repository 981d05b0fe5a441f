"""``hypersdk fleet delete``"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from hypersdk import Action, BatchOptions, FleetInstance, InvalidInput
from hypersdk.cli import words
from hypersdk.cli.command import Command
from hypersdk.cli.fleet.batches import batch_options, options_of, run
from hypersdk.cli.terminal import Terminal

#: Instances that are named when a person is asked.
_NAMED = 20


@click.command("delete", cls=Command)
@batch_options
@click.option("--disks", is_flag=True, help="Also the disks that only they use. They are lost.")
@click.option("--force", is_flag=True, help="Cut the power of those that run first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(terminal: Terminal, /, disks: bool, force: bool, yes: bool, **given: Any) -> None:
    """Remove stopped instances; their disks stay unless --disks is given."""
    options = options_of(Action.DELETE, given, BatchOptions(disks=disks, force=force))
    options.selection.check()
    if not yes and not terminal.interactive:
        raise InvalidInput(
            "deleting needs a confirmation, and there is no terminal to ask for it",
            hint="Add --yes. What would be deleted is shown by: hypersdk fleet list",
        )

    def confirm(targets: Sequence[FleetInstance]) -> None:
        if targets and not yes:
            _ask(terminal, targets, disks=disks)

    run(terminal, options, confirm)


def _ask(terminal: Terminal, targets: Sequence[FleetInstance], *, disks: bool) -> None:
    for target in targets[:_NAMED]:
        terminal.complain(f"  {target.label}  {target.instance.state.value}")
    if len(targets) > _NAMED:
        terminal.complain(f"  and {len(targets) - _NAMED} more")
    what = words.count(len(targets), "instance") + (" and their disks" if disks else "")
    click.confirm(f"Delete {what}?", abort=True, err=True)
