"""What stays between runs: profiles, the history, old exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hypersdk.cli.hyperexport.options.values import Given, Option, span, yes_no
from hypersdk.cli.parameters import PATH, SIZE

#: What ``--report`` without a file says.
ON_STDOUT = "-"

OPTIONS: tuple[Option, ...] = (
    click.option(
        "--profile",
        "--template",
        "profile",
        metavar="NAME",
        help="Options kept under a name; what is typed wins over them.",
    ),
    click.option(
        "--save-profile", metavar="NAME", help="Keep the options of this line under a name."
    ),
    click.option("--list-profiles", is_flag=True, help="Show all profiles."),
    click.option("--delete-profile", metavar="NAME", help="Remove a profile."),
    click.option(
        "--create-default-profiles",
        is_flag=True,
        help="Write the built-in profiles to files, to be changed.",
    ),
    click.option("--history", is_flag=True, help="Show the latest exports."),
    click.option(
        "--history-limit",
        type=click.IntRange(min=1),
        default=10,
        show_default=True,
        metavar="N",
        help="How many of them.",
    ),
    click.option(
        "--report",
        is_flag=False,
        flag_value=ON_STDOUT,
        metavar="[FILE]",
        help="Report on all exports, or with --validate-only on what was found; "
        "to a file as HTML, JSON or text by its ending.",
    ),
    click.option("--report-file", type=PATH, metavar="FILE", help="The same as --report FILE."),
    click.option("--clear-history", is_flag=True, help="Forget all exports."),
    click.option("--cleanup", is_flag=True, help="Remove old exports from the folder --output."),
    click.option(
        "--cleanup-max-age",
        type=span("h"),
        help="Those that are older: 30d; 0: no such rule.  [default, without another rule: 720h]",
    ),
    click.option(
        "--cleanup-max-count",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="All but the newest N; 0: no such rule.",
    ),
    click.option(
        "--cleanup-max-size",
        type=SIZE,
        default="0",
        help="The oldest, until the rest is this small: 500GiB; 0: no such rule.",
    ),
    yes_no("cleanup-dry-run", help="Only show what would be removed."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Where a report goes; None: on stdout."""

    file: Path | None


def report(given: Given) -> Report | None:
    """None: none was asked for."""
    if given["report_file"] is not None:
        return Report(file=given["report_file"])
    if given["report"] is None:
        return None
    return Report(file=None if given["report"] == ON_STDOUT else Path(given["report"]))
