"""docs/commands.md says all that there is, and nothing else."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from hypersdk.cli.terminal import Terminal
from hypersdk.config.settings import FILE_VARIABLE, PREFIX, Settings
from hypersdk.model.errors import HyperSDKError
from tests.cli.conftest import Stream
from tests.docs.tree import commands, options, resolve

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "commands.md").read_text()
SECTIONS = dict(re.findall(r"^## hypersdk (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL))
COMMANDS = {" ".join(path): command for path, command in commands()}
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")


def test_every_command_has_a_section() -> None:
    assert sorted(SECTIONS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_in_the_table_of_its_command(name: str) -> None:
    table = {
        spelling
        for line in SECTIONS[name].splitlines()
        if line.startswith("| `")
        for spelling in OPTION.findall(line.split(" | ")[0])
    }
    assert table == options(COMMANDS[name])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_explains_itself(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter


EXAMPLES = [
    line
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("hypersdk ")
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERSDK_REPOSITORY", "/srv/backup")
    words = shlex.split(line.split(" | ", maxsplit=1)[0], comments=True)[1:]
    path, command, rest = resolve(words)
    assert command is not None, line
    terminal = Terminal(Stream(), Stream(), Stream(), {})
    command.make_context(" ".join(path), rest, obj=terminal)  # raises when it is wrong


def test_every_setting_is_in_the_table() -> None:
    documented = set(re.findall(rf"^\| `({PREFIX}\w+)` \| (?:`(\w+)`)?", TEXT, re.MULTILINE))
    assert documented == {
        (FILE_VARIABLE, ""),
        *((PREFIX + name.upper(), name) for name in Settings.model_fields),
    }


def test_every_exit_status_is_in_the_table() -> None:
    def tree(kind: type[HyperSDKError]) -> set[int]:
        return {kind.exit_code}.union(*(tree(child) for child in kind.__subclasses__()))

    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert documented == tree(HyperSDKError) | {0}


def test_links_lead_somewhere() -> None:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
