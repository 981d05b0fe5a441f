"""``hypersdk repo``: make repositories, look into them, tidy them up."""

from __future__ import annotations

import click

from hypersdk.cli.command import Group
from hypersdk.cli.repo.copy import copy
from hypersdk.cli.repo.diff import diff
from hypersdk.cli.repo.gc import gc
from hypersdk.cli.repo.init import init
from hypersdk.cli.repo.key import key
from hypersdk.cli.repo.list import list_
from hypersdk.cli.repo.prune import prune
from hypersdk.cli.repo.recover import recover
from hypersdk.cli.repo.show import show
from hypersdk.cli.repo.stats import stats


@click.group("repo", cls=Group)
def repo() -> None:
    """Make repositories, look into them, tidy them up."""


for _command in (init, list_, show, stats, diff, prune, gc, recover, copy, key):
    repo.add_command(_command)
