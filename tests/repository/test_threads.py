"""Two writers and two collectors at work at once, in threads, on real files."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hypersdk.model.errors import Conflict
from hypersdk.model.points import VerifyLevel
from hypersdk.repository.keys import Protect
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.local import LocalStore
from tests.repository.examples import CHUNK, back_up, chunks, content_of
from tests.repository.lab import NO_GRACE

SECONDS = 4
ENOUGH_BACKUPS = 4
#: A slow machine goes on this long until a collector found something to sweep.
AT_MOST_SECONDS = 60


class Bustle:
    """A repository, what its writers expect of it, and when they stop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        Repository.create(self._store(create=True), Protect.none(), chunk_size=CHUNK).close()
        self.expected: dict[str, bytes] = {}
        self.backups = self.swept = 0
        self.failures: list[BaseException] = []
        self._began = time.monotonic()

    def open(self, host: str) -> Repository:
        return Repository.open(self._store(), cache=self.folder / host)

    def run(self, *work: Callable[[], None]) -> None:
        threads = [threading.Thread(target=self._guarded, args=(act,)) for act in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def goes_on(self) -> bool:
        """Until both sides had their turn: enough time, enough backups, something swept."""
        seconds = time.monotonic() - self._began
        enough = self.swept > 0 and self.backups > ENOUGH_BACKUPS
        return seconds < (SECONDS if enough or self.failures else AT_MOST_SECONDS)

    def write(self, name: str, host: str) -> None:
        """Back up over and over; remove a point at random, never the newest."""
        dice = random.Random(name)
        with self.open(host) as repository:
            while self.goes_on():
                disk = chunks(*(dice.choice([None, *range(12)]) for _ in range(12)))
                self.expected[back_up(repository, name, disk).id] = disk
                self.backups += 1
                mine = repository.points(name)
                if len(mine) > 3:
                    gone = dice.choice(mine[:-1])
                    del self.expected[gone.id]
                    repository.remove(gone, "test")

    def collect(self, host: str, pause: float) -> None:
        """Collect over and over; of two that meet, one or both stop."""
        with self.open(host) as repository:
            while self.goes_on():
                with contextlib.suppress(Conflict):
                    self.swept += repository.collect(NO_GRACE).swept_packs
                time.sleep(pause)

    def _store(self, *, create: bool = False) -> LocalStore:
        return LocalStore(self.folder / "repository", create=create)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - compared with none at the end
            self.failures.append(error)


def test_writers_and_collectors_at_once(tmp_path: Path, small_packs: None) -> None:
    bustle = Bustle(tmp_path)
    bustle.run(
        lambda: bustle.write("web", host="a"),
        lambda: bustle.write("db", host="b"),
        lambda: bustle.collect(host="a", pause=0.05),  # shares the index cache of a writer
        lambda: bustle.collect(host="c", pause=0.4),
    )
    assert bustle.failures == []
    assert bustle.backups > ENOUGH_BACKUPS
    with bustle.open("late") as repository:
        repository.collect(NO_GRACE)
        report = repository.verify(None, VerifyLevel.CONTENT)
        assert report.ok, report.damage
        points = {point.id: point for point in repository.all_points()}
        assert points.keys() == bustle.expected.keys()
        for identity, disk in bustle.expected.items():
            assert content_of(repository, points[identity]) == disk
    assert bustle.swept > 0
