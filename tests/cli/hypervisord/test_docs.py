"""docs/hypervisord.md says all that there is, and nothing else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import BaseModel

from hypersdk.cli.hypervisord.command import chosen
from hypersdk.cli.hypervisord.main import hypervisord
from hypersdk.cli.terminal import Terminal
from hypersdk.config.daemon import examine_daemon_settings, load_daemon_settings
from hypersdk.config.daemon.changes import live
from hypersdk.config.daemon.environment import without_none
from hypersdk.config.daemon.estate import HypervisorSettings, RepositorySettings, WebhookSettings
from hypersdk.config.daemon.settings import DaemonSettings
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.units import parse_size
from tests.cli.conftest import Stream

TEXT = (Path(__file__).parents[3] / "docs" / "hypervisord.md").read_text()
_SECTION = re.compile(r"^### hypervisord ?(.*?)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(_SECTION.findall(TEXT))
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
SHARED = {"--json", "--quiet", "--debug", "--version", "--supervised"}


def commands(
    command: click.Command = hypervisord, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group) or not path:
        yield " ".join(path), command
    if isinstance(command, click.Group):
        for name, child in sorted(command.commands.items()):
            yield from commands(child, (*path, name))


COMMANDS = dict(commands())


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
    parameters = [each for each in COMMANDS[name].params if isinstance(each, click.Option)]
    there = {word for each in parameters for word in (*each.opts, *each.secondary_opts)}
    assert table == there - SHARED
    assert COMMANDS[name].help
    assert all(each.help for each in parameters)


def settings(kind: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in kind.model_fields.items():
        inner = without_none(field.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


#: Name → field.
ALL = {
    **dict(settings(DaemonSettings)),
    **dict(settings(HypervisorSettings, "hypervisors.NAME.")),
    **dict(settings(RepositorySettings, "repositories.NAME.")),
    **dict(settings(WebhookSettings, "webhooks[].")),
}
ROWS = {
    name: (default.strip(), reload)
    for name, default, reload in re.findall(
        r"^\| `([\w.\[\]]+)` \| ([^|]+) \| (yes|) ?\| \S.* \|$", TEXT, re.MULTILINE
    )
}


def test_every_setting_is_in_a_table() -> None:
    assert sorted(ROWS) == sorted(ALL)


@pytest.mark.parametrize("name", sorted(ALL))
def test_its_default_and_whether_a_reload_is_enough_are_right(name: str) -> None:
    default, reload = ROWS[name]
    assert bool(reload) == live(name.replace("[]", "."))
    field = ALL[name]
    if field.is_required():
        assert default == "needed" or "state_dir" in default
    elif field.default_factory is None:
        written = yaml.safe_load(default.strip("`"))
        if isinstance(written, str) and isinstance(field.default, int):
            written = parse_size(written)
        assert written == field.default


def test_defaults_that_depend_on_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    made = load_daemon_settings(state_dir="/s", database=None)
    for name in ("exports", "imports", "isos", "backups"):
        assert ROWS[f"folders.{name}"][0] == f"`{name}` in `state_dir`"
        assert getattr(made.folders, name) == Path("/s") / name


def test_the_example_is_right(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    path = tmp_path / "s.yaml"
    path.write_text(example)
    assert examine_daemon_settings(path, environment={}).problems == ()


def test_every_exit_status_is_in_the_table() -> None:
    numbers = {int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    ours = {kind.exit_code for kind in _tree(HyperSDKError)} - {3, 130}
    assert numbers == ours | {0, 75}


def _tree(kind: type[HyperSDKError]) -> Iterator[type[HyperSDKError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


EXAMPLES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for part in block.splitlines()
    for line in part.split(" && ")
    if line.startswith("hypervisord")
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as far as what would be done."""
    words = shlex.split(line)[1:]
    group: click.Group = hypervisord
    while words and words[0] in group.commands:
        found = group.commands[words.pop(0)]
        if not isinstance(found, click.Group):
            context = found.make_context("x", words, obj=Terminal(Stream(), Stream(), Stream(), {}))
            break
        group = found
    else:
        context = group.make_context("x", words, obj=Terminal(Stream(), Stream(), Stream(), {}))
    given = chosen(context).given
    load_daemon_settings(None, **given)
