"""``hypersdk conform``: prove what hypervisors can do, and how that changes."""

from __future__ import annotations

import click

from hypersdk.cli.command import Group
from hypersdk.cli.conform.chaos import chaos
from hypersdk.cli.conform.compare import compare
from hypersdk.cli.conform.matrix import matrix
from hypersdk.cli.conform.run import run_
from hypersdk.cli.conform.trend import trend


@click.group("conform", cls=Group)
def conform() -> None:
    """Prove what hypervisors can do, and how that changes."""


for _command in (run_, trend, compare, matrix, chaos):
    conform.add_command(_command)
