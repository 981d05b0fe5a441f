"""How users of the original wrote flags: ``-vm NAME``, ``-quiet``, ``--verify=false``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import click

_TRUE, _FALSE = ("true", "1", "t", "yes"), ("false", "0", "f", "no")


def plain(arguments: Sequence[str], command: click.Command) -> list[str]:
    """The same line as click reads it: two dashes, and flags without a value."""
    spellings = _flags(command)
    found: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*found, argument, *rest]
        found += _plain(_two_dashes(argument), spellings)
    return found


def _two_dashes(argument: str) -> str:
    """``-vm`` → ``--vm``; ``-h``, ``-H``, ``-Hurl``, ``-``, ``-1`` stay as they are."""
    single = argument[:1] == "-" and argument[1:2].isalpha() and argument[1:2] != "H"
    return f"-{argument}" if single and len(argument) > 2 else argument


def _plain(argument: str, flags: dict[str, str]) -> Iterable[str]:
    name, equals, value = argument.partition("=")
    if not equals or name not in flags or value.lower() not in _TRUE + _FALSE:
        return [argument]
    if value.lower() in _TRUE:
        return [name]
    return [flags[name]] if flags[name] else []


def _flags(command: click.Command) -> dict[str, str]:
    """Spelling of a flag → the spelling that says the opposite; empty where silence says it."""
    return dict(_opposites(command))


def _opposites(command: click.Command) -> Iterator[tuple[str, str]]:
    for option in command.params:
        if isinstance(option, click.Option) and option.is_flag:
            off = option.secondary_opts[0] if option.secondary_opts else ""
            for spelling in option.opts:
                yield spelling, off
            for spelling in option.secondary_opts:
                yield spelling, option.opts[0]
