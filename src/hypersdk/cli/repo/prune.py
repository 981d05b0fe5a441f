"""``hypersdk repo prune``"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

import hypersdk
from hypersdk import Decision, InvalidInput, RetentionPolicy
from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.keys import Unlock, key_options, repository_argument
from hypersdk.cli.parameters import DURATION
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Terminal

_RULES = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    policy: RetentionPolicy
    instance: str | None
    drop: str | None
    dry_run: bool
    unlock: Unlock


def rules(function: Any) -> Any:
    """``--keep-last`` … ``--keep-within``."""
    function = click.option(
        "--keep-within", type=DURATION, metavar="DURATION", help="Everything younger, like 7d."
    )(function)
    for rule in reversed(_RULES):
        what = "The newest N." if rule == "last" else f"The newest of each of N {_periods(rule)}."
        function = click.option(
            f"--keep-{rule}", type=click.IntRange(min=0), default=0, metavar="N", help=what
        )(function)
    return function


def _periods(rule: str) -> str:
    return {"daily": "days"}.get(rule, rule.removesuffix("ly") + "s")


@click.command("prune", cls=Command)
@repository_argument
@rules
@click.option("--instance", metavar="NAME", help="Only restore points of this instance.")
@click.option("--dry-run", is_flag=True, help="Remove nothing; print what would be kept and why.")
@click.option(
    "--drop",
    metavar="KEY",
    help="Instead of all rules: remove one restore point that is unreadable.",
)
@key_options
@click.pass_obj
def prune(
    terminal: Terminal,
    /,
    keep_last: int,
    keep_hourly: int,
    keep_daily: int,
    keep_weekly: int,
    keep_monthly: int,
    keep_yearly: int,
    keep_within: timedelta | None,
    **given: Any,
) -> None:
    """Remove restore points that no rule keeps.

    Each instance is judged on its own, by the storage's time of its points. Space is given back
    by `hypersdk repo gc`.
    """
    policy = RetentionPolicy(
        last=keep_last,
        hourly=keep_hourly,
        daily=keep_daily,
        weekly=keep_weekly,
        monthly=keep_monthly,
        yearly=keep_yearly,
        within=keep_within,
    )
    run(terminal, Options(policy=policy, **given))


def run(terminal: Terminal, options: Options) -> None:
    with options.unlock.open(terminal, options.repo) as repository:
        if options.drop is not None:
            if options.policy != RetentionPolicy() or options.dry_run:
                raise InvalidInput("--drop goes with no other rule and not with --dry-run")
            repository.drop(options.drop)
            terminal.result({"dry_run": False, "decisions": [], "dropped": options.drop})
            terminal.line(f"Removed the unreadable restore point {options.drop}.")
            return
        decisions = hypersdk.prune(
            repository, options.policy, instance=options.instance, dry_run=options.dry_run
        )
    terminal.result(
        {
            "dry_run": options.dry_run,
            "decisions": [records.decision(each) for each in decisions],
            "dropped": None,
        }
    )
    _show(terminal, decisions, options)


def _show(terminal: Terminal, decisions: list[Decision], options: Options) -> None:
    dry_run = options.dry_run
    verb = "remove" if dry_run else "removed"
    table = Table((*left("INSTANCE", "TIME", "ID", "DECISION"), Column("WHY", fold=True)))
    for each in decisions:
        table.add(
            each.point.instance,
            words.moment(each.point.time),
            each.point.id,
            "keep" if each.keep else verb,
            ", ".join(each.reasons),
        )
    if decisions:
        terminal.table(table)
    removed = sum(not each.keep for each in decisions)
    kept = len(decisions) - removed
    word = "Would keep" if dry_run else "Kept"
    terminal.line(f"{word} {words.count(kept, 'restore point')}, {verb} {removed}.")
    if removed and not dry_run:
        terminal.note(f"Their space is given back by: hypersdk repo gc {options.repo}")
