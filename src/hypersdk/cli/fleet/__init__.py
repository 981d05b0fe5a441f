"""``hypersdk fleet``: many hypervisors as one."""

from __future__ import annotations

import click

from hypersdk.cli.command import Group
from hypersdk.cli.fleet.create import create
from hypersdk.cli.fleet.delete import delete
from hypersdk.cli.fleet.health import health
from hypersdk.cli.fleet.list import list_
from hypersdk.cli.fleet.pause import pause
from hypersdk.cli.fleet.resume import resume
from hypersdk.cli.fleet.show import show
from hypersdk.cli.fleet.snapshot import snapshot
from hypersdk.cli.fleet.start import start
from hypersdk.cli.fleet.stop import stop


@click.group("fleet", cls=Group)
def fleet() -> None:
    """Find, run and place instances on many hypervisors as on one."""


for _command in (list_, show, create, start, stop, pause, resume, snapshot, delete, health):
    fleet.add_command(_command)
