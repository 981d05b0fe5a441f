"""What is to be done: one thing per run."""

from __future__ import annotations

from enum import Enum

import click

from hypersdk import InvalidInput
from hypersdk.cli.hyperexport.options.values import Given, Option
from hypersdk.cli.parameters import PATH, Words

SHELLS = ("bash", "zsh", "fish")

OPTIONS: tuple[Option, ...] = (
    click.option("--vm-info", is_flag=True, help="Show the instance, and export nothing."),
    click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing."),
    click.option(
        "--validate-only", is_flag=True, help="Show what may go wrong, and export nothing."
    ),
    click.option(
        "--force",
        is_flag=True,
        help="Export although something critical was found; replace an export that is there.",
    ),
    click.option(
        "--decrypt",
        type=PATH,
        multiple=True,
        metavar="FILE",
        help="Decrypt an exported file (.age, or .enc of the original) beside it or to --output.",
    ),
    click.option(
        "--verify-manifest", type=PATH, metavar="FILE", help="Check an artifact manifest."
    ),
    click.option("--interactive", "--tui", "interactive", is_flag=True, help="Choose on a screen."),
    click.option(
        "--completion",
        type=Words(SHELLS),
        metavar="SHELL",
        help="Print what makes bash, zsh or fish complete this command.",
    ),
)

OUTPUT: tuple[Option, ...] = (
    click.option("--json", is_flag=True, help="Print one JSON document on stdout."),
    click.option("--quiet", is_flag=True, help="One line per result, and no progress."),
    click.option("--debug", is_flag=True, help="The log in full, and where errors came from."),
)


class Mode(Enum):
    """What there is to do; the value is the option, without its dashes."""

    EXPORT = ""
    INFO = "vm-info"
    PLAN = "dry-run"
    CHECK = "validate-only"
    INCREMENTAL_INFO = "incremental-info"
    DECRYPT = "decrypt"
    VERIFY_MANIFEST = "verify-manifest"
    COMPLETION = "completion"
    HISTORY = "history"
    REPORT = "report"
    CLEAR_HISTORY = "clear-history"
    CLEANUP = "cleanup"
    LIST_PROFILES = "list-profiles"
    DELETE_PROFILE = "delete-profile"
    CREATE_PROFILES = "create-default-profiles"
    SCREEN = "interactive"
    DAEMON_WATCH = "daemon-watch"
    DAEMON_LIST = "daemon-list"
    DAEMON_STATUS = "daemon-status"


def mode(given: Given) -> Mode:
    """Raises InvalidInput for two at once."""
    named = [each for each in Mode if each is not Mode.EXPORT and _said(each, given)]
    if Mode.CHECK in named and Mode.REPORT in named:
        named.remove(Mode.REPORT)  # a report on the checks
    if Mode.CLEANUP in named and Mode.PLAN in named:
        named.remove(Mode.PLAN)  # a cleanup that only shows
    if len(named) > 1:
        words = " and ".join(f"--{each.value}" for each in named)
        raise InvalidInput(f"{words} exclude each other", hint="Do one thing per run.")
    return named[0] if named else Mode.EXPORT


def _said(each: Mode, given: Given) -> bool:
    if each is Mode.REPORT:
        return given["report"] is not None or given["report_file"] is not None
    return bool(given[each.value.replace("-", "_")])
