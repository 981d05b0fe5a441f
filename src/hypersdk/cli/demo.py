"""``hypersdk demo``"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

import hypersdk
from hypersdk import (
    CancelToken,
    Damaged,
    InvalidInput,
    MockHypervisor,
    Protect,
    Repository,
    RestorePoint,
    RetentionPolicy,
    backup_instance,
    collect_garbage,
    init_repository,
)
from hypersdk.cli import demolab, records, words
from hypersdk.cli.backup import COLUMNS, add_rows
from hypersdk.cli.command import Command
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.parameters import PATH, SIZE
from hypersdk.cli.progress import watching
from hypersdk.cli.repo.key import write_secret
from hypersdk.cli.tables import Table
from hypersdk.cli.terminal import Terminal
from hypersdk.model.units import GIB, MIB

INSTANCES = ("web", "db")
DISK = "vda"
#: Every run writes the same.
_SEED = 2026
#: Free space that a run takes, as a multiple of its data: disks, repository, a restored disk.
_SPACE = 2.5


@dataclass(frozen=True, slots=True)
class Options:
    dir: Path | None
    keep: bool
    size: int
    data: int


@click.command("demo", cls=Command)
@click.option("--dir", type=PATH, help="An empty folder to work in.  [default: a temporary one]")
@click.option("--keep", is_flag=True, help="Leave everything there to look at.")
@click.option("--size", type=SIZE, default="4GiB", show_default=True, help="Of each virtual disk.")
@click.option("--data", type=SIZE, default="512MiB", show_default=True, help="In all disks.")
@click.pass_obj
def demo(terminal: Terminal, /, **given: Any) -> None:
    """Try everything on two simulated instances.

    Back up, verify, prune and restore: their disks are real sparse files with real data of this
    machine. Needs no root, no hypervisor and no other program, and takes less than a minute.
    """
    run(terminal, Options(**given))


def run(terminal: Terminal, options: Options) -> None:
    if options.size < GIB // 8 or options.data * 2 > options.size:
        raise InvalidInput(
            "the disks are too small for the data",
            hint="A disk has at least 128MiB, and twice what --data says.",
        )
    began = time.monotonic()
    with _workplace(options) as place, cancelling(terminal) as cancel:
        points, same = _Scene(terminal, place, options, cancel).play()
    seconds = time.monotonic() - began
    terminal.result(
        {
            "identical": same,
            "seconds": round(seconds, 3),
            "backups": [records.point(point) for point in points],
            "dir": str(place) if options.keep else None,
        }
    )
    table = Table(COLUMNS)
    for point in points:
        add_rows(table, point)
    terminal.line()
    terminal.table(table)
    terminal.line()
    if options.keep:
        terminal.line(f"Everything is in {place}")
    if not same:
        raise Damaged("the restored disk differs from the disk that was backed up")
    terminal.line(f"restored disk is identical  ({words.duration(seconds)} in all)", style="green")


@contextmanager
def _workplace(options: Options) -> Iterator[Path]:
    """The folder to work in; removed at the end, or at least emptied when it was there before."""
    given = options.dir
    if given is not None:
        if given.exists() and (not given.is_dir() or any(given.iterdir())):
            raise InvalidInput(f"{given} is not an empty folder")
        existed = given.exists()
        given.mkdir(parents=True, exist_ok=True)
        place = given.absolute()
    else:
        existed, place = False, Path(tempfile.mkdtemp(prefix="hypersdk-demo-"))
    try:
        _require_space(place, options)
        yield place
    finally:
        if not options.keep:
            for child in place.iterdir():
                shutil.rmtree(child) if child.is_dir() else child.unlink()
            if not existed:
                place.rmdir()


def _require_space(place: Path, options: Options) -> None:
    free, needed = shutil.disk_usage(place).free, int(options.data * _SPACE)
    if free < needed:
        raise InvalidInput(
            f"{place} has {words.size(free)} free, the demonstration takes {words.size(needed)}",
            hint="Choose another folder with --dir, or less with --data 64MiB.",
        )


class _Scene:
    """The acts of the demonstration, each with the command that would do the same."""

    def __init__(
        self, terminal: Terminal, place: Path, options: Options, cancel: CancelToken
    ) -> None:
        self._terminal = terminal
        self._place = place
        self._options = options
        self._cancel = cancel
        self._hypervisor = _mock(place / "lab")
        self._act = 0

    def play(self) -> tuple[list[RestorePoint], bool]:
        """All acts. Returns the restore points, and whether what was restored is identical."""
        self._install()
        with self._repository() as repository:
            self._say("First backups: everything is read, zeroes are skipped")
            points = self._back_up(repository)
            self._a_day_passes()
            self._say("Second backups: only changed blocks are read")
            points += self._back_up(repository)
            self._verify(repository)
            self._tidy(repository)
            same = self._restore(repository)
        return points, same

    def _install(self) -> None:
        size, data = words.size(self._options.size), words.size(self._options.data)
        self._say(f"Two instances with disks of {size}; {data} of files from /usr in them")
        # Both are clones of one template: its half of their data is the same.
        share = self._options.data // len(INSTANCES) // MIB * MIB
        common = share // 2 // MIB * MIB
        own = demolab.file_data()
        for _ in range(common // MIB):
            next(own)
        for name in INSTANCES:
            self._hypervisor.create_instance(name, {DISK: self._options.size})
            with self._hypervisor.guest(name, DISK) as guest:
                self._cancel.check()
                template = demolab.file_data()
                data_of = demolab.taken(template, common, own)
                demolab.install(guest, self._options.size, data_of, share)
            self._hypervisor.lifecycle.start(name)

    def _repository(self) -> Repository:
        self._say("An encrypted repository")
        key, place = self._place / "key", self._place / "repository"
        self._command("repo", "key", "generate", "--key-file", str(key))
        write_secret(key, random.SystemRandom().randbytes(32))
        self._command("repo", "init", str(place), "--encrypt", f"keyfile={key}")
        self._typed(f"export HYPERSDK_REPOSITORY={place} HYPERSDK_KEY_FILE={key}")
        return init_repository(place, protect=Protect.key_file(key), cache=self._place / "cache")

    def _back_up(self, repository: Repository) -> list[RestorePoint]:
        self._command("backup", "-H", self._hypervisor.url, *INSTANCES)
        with watching(self._terminal) as watch:
            return [
                backup_instance(
                    repository, self._hypervisor, name, reporter=watch, cancel=self._cancel
                )
                for name in INSTANCES
            ]

    def _a_day_passes(self) -> None:
        self._say(
            "A day passes: both write 64 KiB here and there, web deletes a third of its files"
        )
        dice = random.Random(_SEED)  # noqa: S311 - the same in every run
        for name, writes in zip(INSTANCES, (40, 120), strict=True):
            with self._hypervisor.guest(name, DISK) as guest:
                demolab.work(guest, self._options.size, writes, dice)
                if name == "web":
                    demolab.delete(guest, self._options.size)

    def _verify(self, repository: Repository) -> None:
        self._say("Verify: every chunk is decrypted and compared with its id")
        self._command("verify", "$HYPERSDK_REPOSITORY", "--level", "content")
        with watching(self._terminal) as watch:
            report = hypersdk.verify(repository, reporter=watch, cancel=self._cancel)
        if not report.ok:
            raise Damaged(f"{report.damage[0].object}: {report.damage[0].problem}")
        self._terminal.line(
            f"   {words.count(report.chunks, 'chunk')} in {words.count(report.packs, 'pack')}, "
            f"{words.size(report.read)}: all is well"
        )

    def _tidy(self, repository: Repository) -> None:
        self._say("Keep the last restore point of each, give back the space of the others")
        self._command("repo", "prune", "$HYPERSDK_REPOSITORY", "--keep-last", "1")
        decisions = hypersdk.prune(repository, RetentionPolicy(last=1))
        self._command("repo", "gc", "$HYPERSDK_REPOSITORY", "--grace", "0h")
        before = repository.statistics().stored
        collect_garbage(repository, grace=timedelta(0))
        after = repository.statistics().stored
        removed = sum(not decision.keep for decision in decisions)
        self._terminal.line(
            f"   {words.count(removed, 'restore point')} removed, "
            f"{words.size(before)} became {words.size(after)}"
        )

    def _restore(self, repository: Repository) -> bool:
        name = INSTANCES[0]
        self._say(f"Restore {name} and compare it with the disk of the instance, byte by byte")
        target = self._place / f"{name}.img"
        self._command("restore", name, "--to", str(target))
        point = repository.find(name)
        with watching(self._terminal) as watch:
            hypersdk.restore(repository, point, target, reporter=watch, cancel=self._cancel)
        disk = self._hypervisor.inventory.instance(name).disks[0]
        return demolab.identical(Path(disk.path), target)

    def _say(self, text: str) -> None:
        self._cancel.check()
        self._act += 1
        self._terminal.line(f"{self._act}. {text}", style="bold")

    def _command(self, *words_of_it: str) -> None:
        self._typed(" ".join(("hypersdk", *words_of_it)))

    def _typed(self, text: str) -> None:
        self._terminal.line(f"   $ {text}", style="cyan")


def _mock(folder: Path) -> MockHypervisor:
    hypervisor = hypersdk.connect(f"mock://{folder}")
    assert isinstance(hypervisor, MockHypervisor)
    return hypervisor
