"""What every command and group of hyperctl has."""

from __future__ import annotations

import click

from hypersdk.cli import command
from hypersdk.cli.terminal import Terminal


class Command(command.Command):
    """Without a log, whose setting up would take a third of a run: what there is to say, the
    daemon says. With ``--debug`` requests are logged."""

    def invoke(self, ctx: click.Context) -> object:
        if ctx.ensure_object(Terminal).debug:
            return super().invoke(ctx)
        return click.Command.invoke(self, ctx)


class Group(command.Group):
    """Its commands are of our class."""

    command_class = Command


Group.group_class = Group
