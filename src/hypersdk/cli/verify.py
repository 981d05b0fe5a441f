"""``hypersdk verify``"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

import hypersdk
from hypersdk import Damage, Damaged, VerifyLevel, VerifyReport
from hypersdk.cli import records, words
from hypersdk.cli.command import Command
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.keys import Need, Unlock, key_options, repository_argument
from hypersdk.cli.parameters import Words
from hypersdk.cli.progress import watching
from hypersdk.cli.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Options:
    repo: str
    point: str | None
    level: VerifyLevel
    unlock: Unlock


@click.command("verify", cls=Command)
@repository_argument
@click.argument("point", required=False)
@click.option(
    "--level",
    type=Words([level.value for level in VerifyLevel]),
    default=VerifyLevel.CONTENT.value,
    show_default=True,
    help="stored: bytes are those that were written, needs no key. "
    "content: every chunk is decrypted and compared with its id.",
)
@key_options
@click.pass_obj
def verify(terminal: Terminal, /, level: str, **given: Any) -> None:
    """Check a repository, or what one restore point needs.

    Ends with 1 when something is damaged, after naming every damaged chunk and what it breaks.
    """
    run(terminal, Options(level=VerifyLevel(level), **given))


def run(terminal: Terminal, options: Options) -> None:
    keyless = options.level is VerifyLevel.STORED and options.point is None
    need = Need.NONE if keyless else Need.REQUIRED
    with (
        options.unlock.open(terminal, options.repo, need) as repository,
        cancelling(terminal) as cancel,
        watching(terminal) as watch,
    ):
        point = repository.find(options.point) if options.point else None
        report = hypersdk.verify(repository, point, options.level, reporter=watch, cancel=cancel)
    terminal.result(records.verification(report))
    for damage in report.damage:
        _show(terminal, damage)
    for damage in report.harmless:
        _show(terminal, damage, word="harmless")
    terminal.line(_summary(report))
    if not report.ok:
        raise Damaged(
            f"{words.count(len(report.damage), 'damaged place')} found",
            hint="Restore points that are not named are whole. The next backup of a named area "
            "stores it again.",
        )


def _show(terminal: Terminal, damage: Damage, word: str = "damaged") -> None:
    where = f" at {damage.offset}, {damage.length} bytes" if damage.length else ""
    chunk = f", chunk {damage.chunk}" if damage.chunk else ""
    terminal.line(f"{word}: {damage.object}{where}{chunk}: {damage.problem}")
    for area in damage.affected:
        terminal.line(
            f"  breaks {area.instance} {area.point} {area.disk}: "
            f"{area.length} bytes at {area.start}"
        )


def _summary(report: VerifyReport) -> str:
    verdict = "all is well" if report.ok else words.count(len(report.damage), "damaged place")
    seen = [words.count(report.packs, "pack")]
    if report.level is VerifyLevel.CONTENT:
        seen += [words.count(report.chunks, "chunk"), words.count(report.points, "restore point")]
    return (
        f"Verified {report.level.value}: {', '.join(seen)}, {words.size(report.read)} "
        f"in {words.duration(report.seconds)}: {verdict}."
    )
