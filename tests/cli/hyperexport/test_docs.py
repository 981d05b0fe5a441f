"""docs/hyperexport.md says all that there is, and nothing else."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from hypersdk.cli.hyperexport.arguments import plain
from hypersdk.cli.hyperexport.exits import Exit
from hypersdk.cli.hyperexport.main import COMMANDS, hyperexport
from hypersdk.cli.hyperexport.options.all import SUBJECTS
from hypersdk.cli.terminal import Terminal
from tests.cli.conftest import Stream

TEXT = (Path(__file__).parents[3] / "docs" / "hyperexport.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
EXAMPLES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def documented(section: str) -> set[str]:
    rows = [line for line in SECTIONS[section].splitlines() if line.startswith("| `-")]
    return {option for row in rows for option in OPTION.findall(row.split(" | ")[0])}


def spellings(parameters: list[click.Parameter]) -> set[str]:
    return {
        spelling
        for parameter in parameters
        if isinstance(parameter, click.Option)
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    } - {"--version"}


def test_every_option_is_in_the_table_of_its_subject() -> None:
    rest = list(hyperexport.params)
    for heading, options in SUBJECTS.items():
        mine, rest = rest[: len(options)], rest[len(options) :]
        assert documented(heading) == spellings(mine), heading
    assert spellings(rest) == set()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_of_the_other_commands_is_in_their_table(name: str) -> None:
    shared = {"--json", "--quiet", "--debug"}
    assert documented(f"hyperexport {name}") == spellings(COMMANDS[name].params) - shared


@pytest.mark.parametrize("command", [hyperexport, *COMMANDS.values()], ids=lambda each: each.name)
def test_every_option_explains_itself(command: click.Command) -> None:
    assert command.help
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter


def test_every_exit_status_is_in_the_table() -> None:
    numbers = {int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert numbers == set(Exit)


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_understood(line: str) -> None:
    words = shlex.split(line)[1:]
    command = COMMANDS.get(words[0], hyperexport)
    if words[0] in COMMANDS:
        words = words[1:]
    terminal = Terminal(Stream(), Stream(), Stream(), {})
    command.make_context("hyperexport", plain(words, command), obj=terminal)


def test_what_is_left_out_is_named_and_not_there() -> None:
    left_out = set(OPTION.findall(SECTIONS["What is not there"]))
    assert "--orchestrate" in left_out
    assert not left_out & spellings(hyperexport.params)
