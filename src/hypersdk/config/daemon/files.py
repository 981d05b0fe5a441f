"""The settings file: where it is looked for, and its content with the line of each key.

YAML and TOML are told apart by the file's ending. Aliases are refused (a few lines could become
gigabytes), and so are names that are given twice.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
import yaml

from hypersdk.model.errors import InvalidInput

#: Names the file when no flag does.
FILE_VARIABLE = "HYPERVISORD_CONFIG"
ENDINGS = (".yaml", ".yml", ".toml")
SYSTEM_FOLDER = Path("/etc/hypersdk")
#: Settings are small; more is a mistake or hostile.
_BYTES_MAX = 1 << 20
_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)

Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What a file says."""

    #: None: there is no file.
    path: Path | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    #: Path of a key → its line, from 1.
    lines: Mapping[Steps, int] = field(default_factory=dict)

    def line(self, steps: Steps) -> int | None:
        """Of a key, or of the nearest one that holds it."""
        for end in range(len(steps), 0, -1):
            if steps[:end] in self.lines:
                return self.lines[steps[:end]]
        return None


def find_settings_file(named: str | Path | None = None) -> Path | None:
    """The file in force: ``named``, else what HYPERVISORD_CONFIG says, else the user's own, else
    the one in /etc/hypersdk. None when there is none.

    Raises InvalidInput when one was named and is missing, and for two in one folder.
    """
    if chosen := named or os.environ.get(FILE_VARIABLE):
        path = Path(chosen).expanduser()
        if not path.is_file():
            said = "" if named else f", which {FILE_VARIABLE} names"
            raise InvalidInput(f"there is no settings file {path}{said}")
        return path
    for folder in (platformdirs.user_config_path("hypersdk"), SYSTEM_FOLDER):
        found = [path for end in ENDINGS if (path := folder / f"hypervisord{end}").is_file()]
        if len(found) > 1:
            raise InvalidInput(
                f"there are two settings files: {found[0]} and {found[1]}",
                hint="Remove one, or name one with --config.",
            )
        if found:
            return found[0]
    return None


def read_settings_file(path: Path | None) -> SettingsFile:
    """Raises InvalidInput, with the line when the file is malformed."""
    if path is None:
        return SettingsFile()
    if path.suffix not in ENDINGS:
        raise InvalidInput(
            f"{path}: a file '*{path.suffix}' cannot be read",
            hint="Call it .yaml or .toml, whichever it is.",
        )
    text = _text(path)
    try:
        if path.suffix == ".toml":
            return SettingsFile(path, tomllib.loads(text), _toml_lines(text))
        return _yaml(path, text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not TOML: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidInput(f"{path}{line}: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read") from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES_MAX + 1)
        if len(data) > _BYTES_MAX:
            raise InvalidInput(f"{path} is larger than 1 MiB and no settings file")
        return data.decode()
    except OSError as error:
        raise InvalidInput(
            f"cannot read {path}: {error.strerror}", hint="Name another one with --config."
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text") from error


def _yaml(path: Path, text: str) -> SettingsFile:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return SettingsFile(path)
        lines: dict[Steps, int] = {}
        _note_lines(node, (), lines)
        content = loader.construct_document(node)
    finally:
        loader.dispose()
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} is not a mapping of settings")
    return SettingsFile(path, content, lines)


class _Loader(yaml.SafeLoader):
    """Without aliases."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases are not allowed here", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)


def _note_lines(node: yaml.Node, path: Steps, lines: dict[Steps, int]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for at, each in enumerate(node.value):
            lines[(*path, at)] = each.start_mark.line + 1
            _note_lines(each, (*path, at), lines)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        steps = (*path, str(key.value))
        if steps in lines:
            raise yaml.MarkedYAMLError(
                problem=f"'{key.value}' is given twice", problem_mark=key.start_mark
            )
        lines[steps] = key.start_mark.line + 1
        _note_lines(value, steps, lines)


def _toml_lines(text: str) -> dict[Steps, int]:
    """The library keeps none. Lines inside of long texts may be taken for keys, which hurts
    nobody: a path that is not in the file is never asked for."""
    lines: dict[Steps, int] = {}
    counts: dict[Steps, int] = {}
    table: Steps = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _HEADER.match(line):
            table = _toml_steps(found[1])
            if line.lstrip().startswith("[["):
                at = counts[table] = counts.get(table, -1) + 1
                table = (*table, at)
            lines.setdefault(table, number)
        elif found := _KEY.match(line):
            steps = (*table, *_toml_steps(found[1]))
            for end in range(len(table) + 1, len(steps) + 1):
                lines.setdefault(steps[:end], number)
    return lines


def _toml_steps(text: str) -> Steps:
    return tuple(each.strip("\"'") for each in re.findall(r"[\w-]+|\"[^\"]*\"|'[^']*'", text))
