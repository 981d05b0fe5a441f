"""All rules: ours, and those that other programs bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points

from hypersdk.flows.preflight import (
    arrival,
    destination,
    devices,
    disks,
    guest,
    names,
    placement,
    privileges,
    snapshots,
)
from hypersdk.flows.preflight.rule import Rule
from hypersdk.flows.preflight.subject import Subject
from hypersdk.model.concerns import Concern, Severity

#: Entry points of other programs.
GROUP = "hypersdk.rules"
#: Found where a rule of another program failed.
BROKEN = "rule.broken"
#: By subject, as docs/preflight.md shows them.
OURS: tuple[Rule, ...] = (
    *disks.RULES,
    *devices.RULES,
    *guest.RULES,
    *placement.RULES,
    *snapshots.RULES,
    *privileges.RULES,
    *names.RULES,
    *destination.RULES,
    *arrival.RULES,
)


def run_rules(subject: Subject) -> tuple[Concern, ...]:
    """What all rules find, the gravest first.

    A rule of another program that cannot be loaded, or fails, is a concern itself: it must not
    keep anyone from exporting, nor be passed over in silence.
    """
    found = [concern for rule in OURS for concern in rule.concerns(subject)]
    for entry in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        found += _of_stranger(entry, subject)
    return ordered(found)


def ordered(concerns: Iterable[Concern]) -> tuple[Concern, ...]:
    """The gravest first, else as they were found."""
    grades = list(Severity)
    return tuple(sorted(concerns, key=lambda concern: grades.index(concern.severity)))


def _of_stranger(entry: EntryPoint, subject: Subject) -> Iterator[Concern]:
    try:
        loaded = entry.load()
        rules = (loaded,) if isinstance(loaded, Rule) else tuple(loaded)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's module raises
        yield _broken(f"the rules '{entry.name}' cannot be loaded", entry, error)
        return
    for rule in rules:
        if isinstance(rule, Rule):
            yield from _guarded(rule, entry, subject)
        else:
            wrong = TypeError(f"{type(rule).__name__} is no Rule")
            yield _broken(f"the rules '{entry.name}' hold something else", entry, wrong)


def _guarded(rule: Rule, entry: EntryPoint, subject: Subject) -> Iterable[Concern]:
    try:
        return tuple(rule.concerns(subject))
    except Exception as error:  # noqa: BLE001 - whatever a stranger's rule raises
        return (_broken(f"the rule {rule.id} of '{entry.name}' failed", entry, error),)


def _broken(what: str, entry: EntryPoint, error: Exception) -> Concern:
    package = entry.dist.name if entry.dist is not None else entry.value
    return Concern(
        BROKEN,
        Severity.INFO,
        f"{what}: {type(error).__name__}: {error}",
        f"Tell the authors of {package}, or remove it. All other rules were applied.",
    )
