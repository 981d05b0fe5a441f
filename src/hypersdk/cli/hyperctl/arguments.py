"""A line as its users type it, made into one that click reads.

``-daemon URL``, ``-profile NAME``, ``-token-from REF`` and ``-ca-file FILE`` may stand anywhere,
also before the command. Long options may begin with one dash. Flags may have a value
(``-all=true``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from hypersdk.cli.hyperexport.arguments import plain
from hypersdk.model.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Target:
    """Which daemon, and as whom; empty fields: by the profile, the environment, the default."""

    daemon: str = ""
    profile: str = ""
    token_from: str = ""
    ca_file: str = ""


_NAMES = {
    "daemon": "daemon",
    "profile": "profile",
    "token-from": "token_from",
    "ca-file": "ca_file",
}


def targeted(arguments: Sequence[str]) -> tuple[Target, list[str]]:
    """What says which daemon, and the rest of the line. Raises InvalidInput."""
    target = Target()
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            return target, [*rest, word, *words]
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or name not in _NAMES:
            rest.append(word)
            continue
        if not equals:
            following = next(words, None)
            if following is None:
                raise InvalidInput(f"{word} needs a value", hint="See: hyperctl --help")
            value = following
        target = replace(target, **{_NAMES[name]: value})
    return target, rest


def spelled(words: Sequence[str], group: click.Group) -> list[str]:
    """With two dashes, for the command that the first words name."""
    command: click.Command = group
    path: list[str] = []
    rest = list(words)
    while rest and isinstance(command, click.Group):
        at = next((at for at, word in enumerate(rest) if not word.startswith("-")), None)
        if at is None or rest[at] not in command.commands:
            break
        command = command.commands[rest[at]]
        path += rest[: at + 1]
        rest = rest[at + 1 :]
    return [*path, *plain(rest, command)]
