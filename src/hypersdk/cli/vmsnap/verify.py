"""``vmsnap --verify``"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import hypersdk
from hypersdk import Damaged, Repository, RestorePoint, VerifyLevel, VerifyReport
from hypersdk.cli import records, words
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.progress import watching
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.cli.vmsnap import places
from hypersdk.cli.vmsnap.domains import matching
from hypersdk.cli.vmsnap.exits import NoDomains
from hypersdk.cli.vmsnap.places import Place


@dataclass(frozen=True, slots=True)
class Options:
    place: Place
    #: Domains whose newest restore points are checked; none: everything is.
    patterns: tuple[str, ...] = ()


def run(terminal: Terminal, options: Options) -> None:
    """Raises Damaged after naming what is; NoDomains when there is no backup of a domain."""
    reports: list[Document] = []
    lines: list[str] = []
    damaged = 0
    with contextlib.ExitStack() as stack:
        repositories = places.existing(terminal, options.place)
        stack.callback(places.close_all, repositories)
        work = list(_work(repositories, options.patterns))
        with cancelling(terminal) as cancel, watching(terminal) as watch:
            for repository, point in work:
                level = VerifyLevel.CONTENT if repository.can_read else VerifyLevel.STORED
                report = hypersdk.verify(repository, point, level, reporter=watch, cancel=cancel)
                damaged += not report.ok
                lines.append(_line(repository, point, report))
                reports.append(
                    {
                        "repository": repository.url,
                        "domain": point.instance if point else None,
                        "report": records.verification(report),
                    }
                )
    terminal.result({"verifications": reports})
    for line in lines:
        terminal.line(line)
    if damaged:
        raise Damaged(
            f"{damaged} of {words.count(len(work), 'verification')} found damage",
            hint="hypersdk verify names every place; the next backup stores it again.",
        )


def _work(
    repositories: list[Repository], patterns: tuple[str, ...]
) -> Iterator[tuple[Repository, RestorePoint | None]]:
    """Whole repositories, or the newest restore point of each domain that was named."""
    if not patterns:
        yield from ((repository, None) for repository in repositories)
        return
    newest: dict[str, tuple[Repository, RestorePoint]] = {}
    for repository in repositories:  # the newest first
        latest = {point.instance: point for point in repository.points()}
        for name, point in latest.items():
            newest.setdefault(name, (repository, point))
    names, unknown = matching(patterns, sorted(newest))
    if unknown:
        raise NoDomains(
            f"there is no backup of {', '.join(unknown)}",
            hint=f"There are backups of {', '.join(sorted(newest)) or 'no domain'}.",
        )
    yield from (newest[name] for name in names)


def _line(repository: Repository, point: RestorePoint | None, report: VerifyReport) -> str:
    verdict = "all is well" if report.ok else words.count(len(report.damage), "damaged place")
    what = f"{point.instance} {point.id}" if point else repository.url
    return f"{what}: {report.level.value} verified, {words.size(report.read)} read: {verdict}"
