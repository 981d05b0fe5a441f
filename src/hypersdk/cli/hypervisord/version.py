"""``hypervisord version``"""

from __future__ import annotations

import platform
from importlib import metadata

import click

from hypersdk.cli.hypervisord.command import Command
from hypersdk.cli.terminal import Terminal


@click.command("version", cls=Command)
@click.pass_obj
def version(terminal: Terminal) -> None:
    """Say which version this is."""
    found = metadata.version("hypersdk")
    terminal.result({"version": found, "python": platform.python_version()})
    terminal.line(f"hypervisord {found}")
