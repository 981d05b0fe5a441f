"""Values as hyperexport's users write them: Go's durations, megabytes per second."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import click

from hypersdk import HyperSDKError, InvalidInput
from hypersdk.cli.parameters import Parsed
from hypersdk.model.units import MIB, parse_duration, parse_rate, parse_size

#: Values as click parsed them, and as a profile changed them, by the names of parameters.
Given: TypeAlias = Mapping[str, Any]
#: Adds one option to a command.
Option: TypeAlias = Callable[[Any], Any]

_PART = re.compile(r"\d+(?:\.\d+)?[smhdw]", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def parse_span(text: str, unit: str) -> timedelta:
    """``720h``, ``30d``, ``1h30m``; a bare number counts in ``unit``, as it always did."""
    if _NUMBER.fullmatch(text):
        text += unit
    parts = _PART.findall(text)
    if not parts or "".join(parts) != text:
        return parse_duration(text)  # which says what is wrong
    return sum((parse_duration(part) for part in parts), timedelta())


def span(unit: str) -> Parsed[timedelta]:
    """The type of a duration whose bare numbers are in ``unit``."""
    return Parsed("DURATION", lambda text: parse_span(text, unit))


def parse_bandwidth(text: str) -> int:
    """``50`` is 50 MiB/s, as it always was; ``64KiB/s`` is said in full. Bytes per second."""
    if _NUMBER.fullmatch(text):
        text += "MiB"
    return parse_rate(text)


def parse_burst(text: str) -> int:
    """``10`` is 10 MiB; ``64KiB`` is said in full. Bytes."""
    if _NUMBER.fullmatch(text):
        return int(float(text) * MIB)
    return parse_size(text)


def parse_pair(text: str) -> tuple[str, str]:
    """``key=value``."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InvalidInput(f"'{text}' is no key=value", hint="Write it like owner=lab")
    return key.strip(), value.strip()


BANDWIDTH = Parsed("MB/S", parse_bandwidth)
BURST = Parsed("MB", parse_burst)
PAIR = Parsed("KEY=VALUE", parse_pair)


def yes_no(name: str, *, default: bool = False, help: str) -> Option:
    """``--name/--no-name``: what a profile may set, a person can unset."""
    return click.option(f"--{name}/--no-{name}", default=default, help=help)


def add(function: Any, options: tuple[Option, ...]) -> Any:
    """Options appear in the help in the order in which they stand here."""
    for option in reversed(options):
        function = option(function)
    return function


def refuse(condition: object, message: str, hint: str = "") -> None:
    """Raise InvalidInput when ``condition`` holds."""
    if condition:
        raise InvalidInput(message, hint=hint)


def hinted(error: HyperSDKError) -> str:
    """Message and hint on one line."""
    return f"{error.message}. {error.hint}".removesuffix(". ")
