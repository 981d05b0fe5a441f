"""``hypersdk lab``: hypervisors to try things on."""

from __future__ import annotations

import click

from hypersdk.cli.command import Group
from hypersdk.cli.lab.vsphere import vsphere


@click.group("lab", cls=Group)
def lab() -> None:
    """Hypervisors to try things on, without hardware and licences."""


lab.add_command(vsphere)
