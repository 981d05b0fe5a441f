"""Databases for tests of jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hypersdk.database.engine import Database
from tests.jobs.lab import Lab
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]


class Clock:
    """Shows what the test says."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **amount: float) -> None:
        self.now += timedelta(**amount)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """On SQLite, with the clock of the machine."""
    database = Database.open(f"sqlite:///{tmp_path}/lab.db")
    yield Lab(database)
    database.close()


@pytest.fixture
def still(tmp_path: Path, clock: Clock) -> Iterator[Lab]:
    """On SQLite, with the clock of the test."""
    database = Database.open(f"sqlite:///{tmp_path}/still.db", clock=clock)
    yield Lab(database)
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/lab.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def both(url: str) -> Iterator[Lab]:
    """On SQLite, and on PostgreSQL."""
    database = Database.open(url)
    yield Lab(database)
    database.close()
