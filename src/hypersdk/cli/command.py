"""What every command and group has: the options for output, and handing on the terminal."""

from __future__ import annotations

from typing import Any

import click

from hypersdk.cli.terminal import Terminal

_OUTPUT = {
    "json": "Print one JSON document on stdout.",
    "quiet": "No progress and no notes on stderr.",
    "debug": "Show where an unexpected error came from.",
}


def _set(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Given before or after the name of the command: it is the same run."""
    if value and parameter.name:
        setattr(context.ensure_object(Terminal), parameter.name, True)


def output_options() -> list[click.Parameter]:
    """``--json``, ``--quiet``, ``--debug``."""
    return [
        click.Option([f"--{name}"], is_flag=True, expose_value=False, callback=_set, help=text)
        for name, text in _OUTPUT.items()
    ]


class Command(click.Command):
    """A command that knows the options for output."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += output_options()

    def invoke(self, ctx: click.Context) -> object:
        """With all options known, the log can begin."""
        ctx.ensure_object(Terminal).configure_log()
        return super().invoke(ctx)


class Group(click.Group):
    """A group that knows them too; its commands are of our class."""

    command_class = Command

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += output_options()


Group.group_class = Group
