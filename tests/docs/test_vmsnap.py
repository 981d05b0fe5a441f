"""docs/vmsnap.md says all that there is, and nothing else."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from hypersdk.cli.terminal import Terminal
from hypersdk.cli.vmsnap.exits import Exit
from hypersdk.cli.vmsnap.main import vmsnap
from hypersdk.flows.rotation import Grouping, Period
from tests.cli.conftest import Stream

TEXT = (Path(__file__).parents[2] / "docs" / "vmsnap.md").read_text()
OPTION = re.compile(r"(?<![\w-])--[a-zA-Z][\w-]*")
EXAMPLES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def test_every_option_is_in_the_table() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| `--")]
    documented = {option for row in rows for option in OPTION.findall(row.split(" | ")[0])}
    there = {
        spelling
        for parameter in vmsnap.params
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    }
    assert documented == there - {"--version"}


def test_every_option_explains_itself() -> None:
    for parameter in vmsnap.params:
        assert isinstance(parameter, click.Option)
        assert parameter.help, parameter


def test_every_exit_status_is_in_the_table() -> None:
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert documented == set(Exit)


def test_every_grouping_is_in_its_table() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| `(vmsnap-backup-[^`]+)`", TEXT, re.MULTILINE)
    assert [Grouping(name) for name, _ in rows] == list(Grouping)
    for name, folder in rows:
        period = Period.parse(folder)
        assert period is not None
        assert period.grouping is Grouping(name)


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_understood(line: str) -> None:
    words = shlex.split(line)
    assert words[0] == "vmsnap"
    terminal = Terminal(Stream(), Stream(), Stream(), {})
    vmsnap.make_context("vmsnap", words[1:], obj=terminal)  # raises when it is wrong
