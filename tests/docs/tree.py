"""The commands that there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from hypersdk.cli.main import hypersdk

Path = tuple[str, ...]


def commands(
    group: click.Group = hypersdk, path: Path = ()
) -> Iterator[tuple[Path, click.Command]]:
    """Every command that does something, with its words: ``("repo", "key", "add")``."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def resolve(words: Sequence[str]) -> tuple[Path, click.Command | None, list[str]]:
    """The command in a line, without options of the groups: path, command, the words behind."""
    group: click.Group = hypersdk
    path: Path = ()
    rest = [word for word in words if word not in {"--json", "--quiet", "--debug"}]
    while rest:
        found = group.commands.get(rest[0])
        if found is None:
            return path, None, rest
        path, rest = (*path, rest[0]), rest[1:]
        if not isinstance(found, click.Group):
            return path, found, rest
        group = found
    return path, None, rest


def options(command: click.Command) -> set[str]:
    """Spellings of the options that only this command has."""
    shared = {"--json", "--quiet", "--debug"}
    return {
        spelling
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for spelling in (*parameter.opts, *parameter.secondary_opts)
        if spelling not in shared
    }
