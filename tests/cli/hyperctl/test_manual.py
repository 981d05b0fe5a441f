"""The document lists what there is, in the commands' own words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from hypersdk.cli.hyperctl.main import hyperctl
from hypersdk.cli.hyperctl.manual import MARK, manual

DOCUMENT = Path(__file__).parents[3] / "docs" / "hyperctl.md"


def commands(group: click.Group = hyperctl) -> Iterator[click.Command]:
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from commands(command)
        else:
            yield command


def test_the_document_is_what_the_commands_say() -> None:
    _, mark, made = DOCUMENT.read_text().partition(MARK)
    assert mark
    assert made == manual() + "\n", "run: python -m hypersdk.cli.hyperctl.manual docs/hyperctl.md"


def test_every_command_says_what_it_does_in_one_line() -> None:
    for command in commands():
        first = (command.help or "").split("\n\n")[0]
        assert first.endswith("."), command.name
        assert len(first) <= 80, command.name
