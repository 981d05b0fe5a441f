"""A database with users, and hashing of passwords that is quick."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hypersdk.accounts.passwords import Passwords
from hypersdk.accounts.tenants import TenantStore
from hypersdk.accounts.tokens import TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.database.engine import Database
from tests.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]

#: Argon2id that takes a millisecond.
QUICK = Passwords(passes=1, memory_kib=64, lanes=1)
PASSWORD = "four random words here"


class Clock:
    """Moments of a database, which tests move on."""

    def __init__(self) -> None:
        self.moment = datetime(2030, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, **amount: float) -> None:
        self.moment += timedelta(**amount)


class Seconds:
    """A monotonic clock, which tests move on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def database(tmp_path: Path, clock: Clock) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path}/accounts.db", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def users(database: Database) -> UserStore:
    return UserStore(database, QUICK)


@pytest.fixture
def tokens(database: Database) -> TokenStore:
    return TokenStore(database)


@pytest.fixture
def tenants(database: Database) -> TenantStore:
    return TenantStore(database)
