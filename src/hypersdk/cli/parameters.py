"""Types of command line values: sizes, rates, durations, moments, tags."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Generic, TypeVar

import click

from hypersdk import HyperSDKError, InvalidInput
from hypersdk.model.units import parse_duration, parse_rate, parse_size

T = TypeVar("T")

_TIME_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")


class Parsed(click.ParamType[T], Generic[T]):
    """A value read by a function that raises InvalidInput with a hint."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> T:
        try:
            return self._parse(value)
        except HyperSDKError as error:
            self.fail(f"{error.message}. {error.hint}".strip(), param, ctx)


class Words(click.Choice[str]):
    """A choice that names the nearest word."""

    def get_invalid_choice_message(self, value: object, ctx: click.Context | None) -> str:  # noqa: ARG002
        return unknown_word(str(value), [str(choice) for choice in self.choices])


def unknown_word(word: str, known: list[str]) -> str:
    """``'passphrse' is not one of none, passphrase. Did you mean 'passphrase'?``"""
    near = get_close_matches(word, known, n=1)
    question = f" Did you mean '{near[0]}'?" if near else ""
    return f"'{word}' is not one of {', '.join(known)}.{question}"


def parse_moment(text: str) -> datetime:
    """``2026-11-21``, ``2026-11-21T02:00`` or with seconds; UTC."""
    for pattern in _TIME_FORMATS:
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise InvalidInput(f"'{text}' is not a moment", hint="Write it like 2026-11-21T02:00 (UTC)")


def parse_tag(text: str) -> tuple[str, str]:
    """``key=value``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InvalidInput(f"'{text}' is not a tag", hint="Write it like --tag site=lab")
    return key, value


def parse_names(text: str) -> tuple[str, str]:
    """``old=new``."""
    old, equals, new = text.partition("=")
    if not equals or not old or not new:
        raise InvalidInput(
            f"'{text}' names no pair", hint="Write it like --map-network lan=default"
        )
    return old, new


def parse_sign(text: str) -> tuple[str, str]:
    """``agent``, ``screen`` or ``serial:TEXT``."""
    kind, colon, rest = text.partition(":")
    if (kind in ("agent", "screen") and not colon) or (kind == "serial" and rest):
        return kind, rest
    raise InvalidInput(
        f"'{text}' is no sign of a booted guest", hint="Write agent, screen or serial:login:"
    )


SIZE = Parsed("SIZE", parse_size)
RATE = Parsed("RATE", parse_rate)
DURATION = Parsed("DURATION", parse_duration)
MOMENT = Parsed("TIME", parse_moment)
TAG = Parsed("KEY=VALUE", parse_tag)
NAMES = Parsed("OLD=NEW", parse_names)
SIGN = Parsed("SIGN", parse_sign)
PATH = click.Path(path_type=Path)
