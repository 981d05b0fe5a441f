"""``--prune``: give up the backups of a domain in periods before the current one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import hypersdk
from hypersdk import (
    CancelToken,
    Damaged,
    NotARepository,
    Period,
    Repository,
    RestorePoint,
    VerifyLevel,
    VerifyReport,
    half_over,
    prunable,
    retire,
)
from hypersdk.cli import words
from hypersdk.cli.progress import Watch
from hypersdk.cli.terminal import Terminal
from hypersdk.cli.vmsnap.places import Place


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was given up of one period."""

    #: Name of its folder.
    folder: str
    #: Restore points removed.
    points: int
    #: The folder held nothing else and is gone.
    whole: bool


def candidates(place: Place, now: datetime) -> list[Period]:
    """Periods that may go once the current one holds a verified backup; costs little."""
    if place.grouping is None or not half_over(now, place.grouping):
        return []
    folders = [period.folder for period in place.older()]
    return prunable(folders, now, place.grouping, verified=True)


def verified(
    repository: Repository, point: RestorePoint, watch: Watch, cancel: CancelToken
) -> VerifyReport:
    """Check all that a point needs, as deep as the key in hand allows. Raises Damaged."""
    level = VerifyLevel.CONTENT if repository.can_read else VerifyLevel.STORED
    report = hypersdk.verify(repository, point, level, reporter=watch, cancel=cancel)
    if not report.ok:
        raise Damaged(
            f"restore point {point.id} has {words.count(len(report.damage), 'damaged place')}",
            hint=f"See: hypersdk verify {repository.url} {point.id}; the next backup stores what "
            "is damaged again.",
        )
    return report


def prune(
    terminal: Terminal, place: Place, domain: str, old: list[Period], left_out: Collection[str]
) -> list[Pruned]:
    """Remove what ``candidates`` named, of one domain.

    A period stays that has disks which were ``left_out`` of the new backup: it may be all there is
    of them. Raises StoreError, KeyRequired.
    """
    done: list[Pruned] = []
    for period in old:
        location = place.at(period)
        try:
            repository = place.unlock.open(terminal, location)
        except NotARepository:
            terminal.note(f"{location} is no repository and stays as it is.")
            continue
        with repository:
            only = left_out and {
                disk.name for point in repository.points(domain) for disk in point.disks
            }.intersection(left_out)
            if only:
                names = ", ".join(sorted(only))
                terminal.complain(f"warning: {location} stays for {names} of {domain}; add --raw")
                continue
            gone = retire(repository, domain, "rotation")
            if gone.points and not gone.whole:
                hypersdk.collect_garbage(repository)
        for reason in gone.kept:
            terminal.note(f"{location}: {reason}; it stays")
        if gone.points or gone.whole:
            done.append(Pruned(period.folder, gone.points, gone.whole))
    return done
