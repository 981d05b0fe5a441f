"""Options that fleet commands share: which hypervisors, which instances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from hypersdk import Fleet, InstanceFilter, InstanceState, InvalidInput, Policy, Retries
from hypersdk.cli.parameters import Parsed, Words
from hypersdk.cli.terminal import Terminal

_Decorator = Callable[[Any], Any]


def parse_wanted_tag(text: str) -> tuple[str, str | None]:
    """``key`` or ``key=value``."""
    key, equals, value = text.partition("=")
    if not key:
        raise InvalidInput(f"'{text}' is not a tag", hint="Write it like --tag site=lab")
    return key, value if equals else None


_WANTED_TAG = Parsed("KEY[=VALUE]", parse_wanted_tag)


def fleet_option(function: Any) -> Any:
    """``--hypervisor``"""
    return click.option(
        "-H",
        "--hypervisor",
        "hypervisors",
        metavar="NAME|URL",
        multiple=True,
        help="A hypervisor of the settings, or its URL.  [default: all of the settings]",
    )(function)


def open_fleet(terminal: Terminal, hypervisors: tuple[str, ...], *, patient: bool = True) -> Fleet:
    """Nothing is connected to yet. Not ``patient``: nothing is tried twice.

    A command tells by its result what it changed; in the log on a person's terminal that stands
    only when all of the log was asked for.
    """
    policy = Policy(audit=terminal.debug, retries=Retries() if patient else None)
    return Fleet.of(hypervisors, terminal.settings.hypervisors, policy=policy)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which instances are meant."""

    wanted: InstanceFilter
    names: tuple[str, ...] = ()
    everywhere: bool = False
    all: bool = False

    def check(self) -> None:
        """Raises InvalidInput when nothing was chosen: all is never meant by accident."""
        if self.all and (self.names or self.wanted != InstanceFilter()):
            raise InvalidInput("--all goes with no names and no filter")
        if not self.names and not self.all and self.wanted == InstanceFilter():
            raise InvalidInput(
                "no instance was chosen",
                hint="Name instances (also like 'web-*' or lab/web), or choose with --state, "
                "--tag, --folder, --search, --owned, --others, or --all.",
            )


def filter_options(function: Any) -> Any:
    """``--state`` … ``--search``; `filter_of` reads them."""
    for option in reversed(
        (
            click.option(
                "--state",
                "states",
                type=Words([state.value for state in InstanceState]),
                multiple=True,
                help="Only those in this state; may be given several times.",
            ),
            click.option(
                "--tag", "tags", type=_WANTED_TAG, multiple=True, help="Only those with this tag."
            ),
            click.option(
                "--folder", default="", help="Only those in this folder and below: 'prod', 'p*'."
            ),
            click.option(
                "--owned/--others",
                default=None,
                help="Only those that HyperSDK made, or only the others.",
            ),
            click.option(
                "--search",
                metavar="TEXT",
                default="",
                help="Only those with this in name, id, image or a tag; 'web-*' fits all of it.",
            ),
        )
    ):
        function = option(function)
    return function


def filter_of(given: dict[str, Any]) -> InstanceFilter:
    """Take the values of `filter_options` out of ``given``."""
    return InstanceFilter(
        states=tuple(InstanceState(state) for state in given.pop("states")),
        tags=dict(given.pop("tags")),
        folder=given.pop("folder"),
        owned=given.pop("owned"),
        search=given.pop("search"),
    )


def selection_options(function: Any) -> Any:
    """Names, filters, ``--all``, ``--everywhere``; `selection_of` reads them."""
    function = click.option("--all", is_flag=True, help="All instances there are.")(function)
    function = click.option(
        "--everywhere", is_flag=True, help="A name means all of that name, on all hypervisors."
    )(function)
    function = filter_options(function)
    return click.argument("names", metavar="[INSTANCE]...", nargs=-1)(function)


def selection_of(given: dict[str, Any]) -> Selection:
    """Take the values of `selection_options` out of ``given``."""
    return Selection(
        filter_of(given), given.pop("names"), given.pop("everywhere"), given.pop("all")
    )
